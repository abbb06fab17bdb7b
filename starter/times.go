package main

import (
	"strings"
	"time"
)

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
