package main

import (
	"bytes"
	"context"
	"reflect"
	"time"

	"jamf-access-review/starter/output"
)

// watchInterval is how long what is watched is left alone between two looks.
const watchInterval = time.Second

// watchStatus shows a connection's status until ctx ends, which is how a person
// ends it and no failure.
func (a *app) watchStatus(ctx context.Context, name string) error {
	if a.format == output.JSON {
		return usagef("--watch does not go with -o json, which is one document; ask for the status again instead")
	}
	var last statusView
	for first := true; ; first = false {
		v, err := a.statusNow(ctx, name)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.draw(v, first || !reflect.DeepEqual(v, last)); err != nil {
			return err
		}
		last = v
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchInterval):
		}
	}
}

// draw shows a status over the one before it on a terminal, where times pass,
// and elsewhere below it if it is different.
func (a *app) draw(v statusView, different bool) error {
	const clear = "\x1b[H\x1b[2J"
	var text bytes.Buffer
	switch _, terminal := output.Terminal(a.out); {
	case terminal:
		text.WriteString(clear)
		printStatus(&text, v)
		text.WriteString("\nCtrl-C ends this.\n")
	case different:
		text.WriteString(time.Now().UTC().Format(time.RFC3339) + "\n")
		printStatus(&text, v)
		text.WriteString("\n")
	}
	_, err := a.out.Write(text.Bytes())
	return err
}
