package main

import (
	"fmt"
	"strings"
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
