package httpclient

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTextAcceptsWhatServersWrite(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]Text{
		`"a"`:                                 "a",
		`null`:                                "",
		`12`:                                  "12",
		`true`:                                "true",
		`"a\u0000b"`:                          "ab",
		"\"\xff\"":                            "\ufffd",
		`"` + strings.Repeat("é", 1500) + `"`: Text(strings.Repeat("é", MaxTextRunes)),
	} {
		var got Text
		if err := json.Unmarshal([]byte(raw), &got); err != nil || got != want {
			t.Errorf("%.40s is read as %.40q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{`{}`, `[]`, `["a"]`} {
		if err := json.Unmarshal([]byte(raw), new(Text)); err == nil {
			t.Errorf("%s is read as a text", raw)
		}
	}
}
