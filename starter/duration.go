package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// duration is a flag of time.Duration's form in which days may come first: 1d,
// 1d12h. A day is 24 hours.
type duration time.Duration

// Set implements pflag.Value.
func (d *duration) Set(s string) error {
	parsed, err := parseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is no duration, such as 90s, 6h or 1d12h", s)
	}
	*d = duration(parsed)
	return nil
}

// String implements pflag.Value. None is no default that help should show.
func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return short(time.Duration(*d))
}

// Type implements pflag.Value.
func (d *duration) Type() string { return "duration" }

func parseDuration(s string) (time.Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 15)
	if err != nil || rest == "" {
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(rest)
	return time.Duration(n)*24*time.Hour + d, err
}
