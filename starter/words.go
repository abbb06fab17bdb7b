package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// tell prints a sentence as a command's answer.
func (a *app) tell(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

// counted is a number of things in words, which have a regular plural.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprint(n, " ", thing)
}

// reasons are the parts of a sync's reason, each for a line of its own.
func reasons(reason string) []string {
	if reason == "" {
		return nil
	}
	return strings.Split(reason, "; ")
}

// joined adds a part to a reason that may be "".
func joined(reason, part string) string {
	if reason == "" {
		return part
	}
	return reason + "; " + part
}

// when is a time as tables show it.
func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// ago is a time as seen from now.
func ago(t time.Time) string { return round(time.Since(t)) + " ago" }

func round(d time.Duration) string {
	switch {
	case d < time.Minute:
		return short(d.Truncate(time.Second))
	case d < time.Hour:
		return short(d.Truncate(time.Minute))
	case d < 48*time.Hour:
		return short(d.Truncate(time.Hour))
	default:
		return counted(int(d.Hours()/24), "day")
	}
}

// short is a duration without the units that are zero at its end: 6h, not
// 6h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// facts is the before or after of a change in one line.
func facts(content json.RawMessage) string {
	var m map[string]any
	if err := json.Unmarshal(content, &m); err != nil {
		return string(content)
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %v", key, m[key]))
	}
	return strings.Join(parts, "; ")
}

// fact is one of the facts of a change, by its name.
func fact(content json.RawMessage, key string) string {
	var m map[string]any
	if err := json.Unmarshal(content, &m); err != nil || m[key] == nil {
		return ""
	}
	return fmt.Sprintf("%s: %v", key, m[key])
}
