package output

import (
	"io"
	"iter"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// Column is a column of a table. Width is what it takes on a narrow terminal at
// most; what is longer goes on in the next line.
type Column struct {
	Title string
	Width int
}

// Col is a Column.
func Col(title string, width int) Column { return Column{Title: title, Width: width} }

// gap is the space after a column.
const gap = "  "

// WriteTable writes rows under columns, without lines between them, so that
// the output can be cut and searched like that of other tools: where it goes to
// no terminal, each row is one line. On a terminal columns take as much of its
// width as they need.
func WriteTable(w io.Writer, columns []Column, rows iter.Seq2[[]string, error]) error {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", gap
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	room, longest := widthOf(w), make([]int, len(columns))
	cell := func(column int, s string) string {
		if room > 0 {
			longest[column] = max(longest[column], text.StringWidthWithoutEscSequences(s))
		}
		return s
	}
	header := table.Row{}
	for i, c := range columns {
		header = append(header, cell(i, c.Title))
	}
	t.AppendHeader(header)
	for row, err := range rows {
		if err != nil {
			return err
		}
		cells := table.Row{}
		for i, s := range row {
			cells = append(cells, cell(i, Clean(s)))
		}
		t.AppendRow(cells)
	}
	if room > 0 {
		var configs []table.ColumnConfig
		for i, width := range fit(columns, longest, room) {
			configs = append(configs, table.ColumnConfig{Number: i + 1, WidthMax: width, WidthMaxEnforcer: text.WrapSoft})
		}
		t.SetColumnConfigs(configs)
	}
	t.SuppressTrailingSpaces()
	t.Render()
	return nil
}

// widthOf is the width of a terminal; 0 of what is none.
func widthOf(w io.Writer) int {
	f, ok := Terminal(w)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// narrowest is how narrow a column gets at least where there is no room.
const narrowest = 10

// fit is how wide columns are in a room: as wide as they are on a narrow
// terminal, and then, as long as there is room, as wide as their longest cell, one
// as much as the other. Where there is too little of it the last ones, which have
// the longest texts, make do with less.
func fit(columns []Column, longest []int, room int) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = min(longest[i], c.Width)
		room -= widths[i] + len(gap)
	}
	room += len(gap) // there is none after the last column
	for i := len(widths) - 1; i >= 0 && room < 0; i-- {
		less := min(-room, max(widths[i]-narrowest, 0))
		widths[i] -= less
		room += less
	}
	for grown := true; grown && room > 0; {
		grown = false
		for i := range widths {
			if widths[i] < longest[i] && room > 0 {
				widths[i]++
				room--
				grown = true
			}
		}
	}
	return widths
}
