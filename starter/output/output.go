// Package output is how commands answer: tables for people, one JSON document
// for programs.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Format is how a command answers.
type Format string

const (
	Table Format = "table"
	JSON  Format = "json"
)

// FormatIn finds the format in arguments that may be wrong otherwise, so that
// even that is answered as asked.
func FormatIn(args []string) Format {
	for i, arg := range args {
		if arg == "--output=json" || arg == "-ojson" || arg == "-o=json" {
			return JSON
		}
		if (arg == "-o" || arg == "--output") && i+1 < len(args) && args[i+1] == "json" {
			return JSON
		}
	}
	return Table
}

// Set implements pflag.Value.
func (f *Format) Set(s string) error {
	switch Format(s) {
	case Table, JSON:
		*f = Format(s)
		return nil
	}
	return fmt.Errorf("%q is neither table nor json", s)
}

func (f *Format) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *Format) Type() string { return "format" }

// Answer is standard output.
type Answer struct {
	io.Writer
	// Begun says that something of an answer was written, or was to be: a document
	// after it would be no answer.
	Begun bool
	// Err is the first error of a write: an answer that is not whole is none.
	Err error
}

// Write implements io.Writer.
func (a *Answer) Write(b []byte) (n int, err error) {
	a.Begun = true
	n, err = a.Writer.Write(b)
	if a.Err == nil {
		a.Err = err
	}
	return n, err
}

// Terminal returns the terminal that w writes to, if it does.
func Terminal(w io.Writer) (*os.File, bool) {
	if a, ok := w.(*Answer); ok {
		w = a.Writer
	}
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// WriteJSON writes one JSON document.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// StreamJSON writes one JSON array, element by element as they come.
func StreamJSON[T any](w io.Writer, elements iter.Seq2[T, error]) error {
	const begin, next = "[\n  ", ",\n  "
	separator := begin
	for element, err := range elements {
		var content string
		if err == nil {
			content, err = marshal(element)
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "%s%s", separator, content)
		}
		if err != nil && separator == next {
			return fmt.Errorf("the output breaks off: %w", err)
		}
		if err != nil {
			return err
		}
		separator = next
	}
	if separator == begin {
		_, err := fmt.Fprintln(w, "[]")
		return err
	}
	_, err := fmt.Fprintln(w, "\n]")
	return err
}

func marshal(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// Clean makes text from a foreign source safe to show in a terminal: what
// would move the cursor, change colours or turn the direction of writing is
// replaced.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// CleanLines is Clean for text of several lines. Those after the first are
// indented, so that none passes for a line of its own.
func CleanLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, line := range lines {
		lines[i] = Clean(line)
	}
	return strings.Join(lines, "\n  ")
}
