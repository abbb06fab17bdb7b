package localprocess

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	quotedLines = 12
	quotedBytes = 8 << 10
)

func createLog(path string) (*os.File, error) {
	err := os.Rename(path, path+".previous")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
}

// QuoteLog is a phrase, to end a message with, that quotes the last lines of a
// log and names its file.
func QuoteLog(path string) string {
	text := strings.TrimSpace(string(logEnd(path)))
	if text == "" {
		return "; it printed nothing to " + path
	}
	lines := strings.Split(text, "\n")
	if len(lines) > quotedLines {
		lines = lines[len(lines)-quotedLines:]
	}
	return "; the last lines of " + path + ":\n    " + strings.Join(lines, "\n    ")
}

func logEnd(path string) []byte {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-quotedBytes), io.SeekStart)
	}
	text, _ := io.ReadAll(file)
	return text
}

func logContains(path, text string) bool {
	return bytes.Contains(logEnd(path), []byte(text))
}
