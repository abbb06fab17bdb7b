package main

import (
	"iter"

	"jamf-access-review/starter/output"
)

// converted applies f to what a query yields, as it comes.
func converted[T, U any](seq iter.Seq2[T, error], f func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		for v, err := range seq {
			if err != nil {
				var none U
				yield(none, err)
				return
			}
			if !yield(f(v), nil) {
				return
			}
		}
	}
}

// views are what a list's elements are in the CLI's words; an empty list stays
// one in JSON.
func views[T, U any](l []T, view func(T) U) []U {
	out := make([]U, len(l))
	for i, v := range l {
		out[i] = view(v)
	}
	return out
}

// rows is converted for a slice.
func rows[T, U any](l []T, f func(T) U) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		for _, v := range l {
			if !yield(f(v), nil) {
				return
			}
		}
	}
}

// list is l, and [] rather than null in JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// printTable prints a table, and below one without rows what none says of that.
func (a *app) printTable(none string, columns []output.Column, content iter.Seq2[[]string, error]) error {
	printed := false
	err := output.WriteTable(a.out, columns, converted(content, func(row []string) []string {
		printed = true
		return row
	}))
	if err == nil && !printed && none != "" {
		a.tell("%s", none)
	}
	return err
}
