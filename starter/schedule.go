package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"jamf-access-review/db"
	"jamf-access-review/workflows"
)

func newPause(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "pause NAME",
		Short:   "Stop the schedule of a connection",
		Long:    `A paused connection syncs only when asked to, with resync.`,
		Example: `  starter pause acme`,
		Args:    named,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.steer(cmd.Context(), args[0], workflows.PauseMessage, workflows.Sent{At: time.Now()}, onceNot(db.Active, "paused", "is paused"))
		},
	}
}

func newResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "resume NAME",
		Short:   "Start the schedule of a connection again",
		Example: `  starter resume acme`,
		Args:    named,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.steer(cmd.Context(), args[0], workflows.ResumeMessage, workflows.Sent{At: time.Now()}, onceNot(db.Paused, "resumed", "syncs by itself"))
		},
	}
}

// onceNot is the words of a schedule that was stopped or started, once the
// connection is no longer in the state it was in before. Of one that needs new
// credentials that is true only after them.
func onceNot(before db.State, words, afterReconnect string) func(db.Connection) string {
	return func(c db.Connection) string {
		switch c.State {
		case before:
			return ""
		case db.NeedsReconnect:
			return "it needs `starter reconnect " + c.Name + "` as before, and " + afterReconnect + " after that"
		}
		return words
	}
}

func newReschedule(a *app) *cobra.Command {
	var every time.Duration
	cmd := &cobra.Command{
		Use:     "reschedule NAME --every D",
		Short:   "Change how often a connection syncs",
		Example: `  starter reschedule acme --every 1h`,
		Args:    named,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("every") {
				return usagef("--every is required")
			}
			if every < workflows.MinInterval {
				return usagef("--every is at least %s", workflows.MinInterval)
			}
			every = every.Truncate(time.Second)
			a.noteInterval(every)
			return a.steer(cmd.Context(), args[0], workflows.RescheduleMessage, workflows.RescheduleRequest{Every: every.String()}, func(c db.Connection) string {
				if c.Every != every {
					return ""
				}
				return "syncs every " + short(every)
			})
		},
	}
	cmd.Flags().Var((*duration)(&every), "every", "time between syncs, from 10s")
	return cmd
}

// noteInterval says what an interval means that is too long for its syncs to prove
// anything until the next ones.
func (a *app) noteInterval(every time.Duration) {
	if every > db.LongestInterval {
		a.say("Note: what a sync has read proves nothing after 30 days; with %s between syncs, monitors may then be not_evaluable until the next.", short(every))
	}
}

// steerTimeout bounds how long a worker is waited for to act on a signal. After
// that the signal is not lost: it takes effect when a worker comes to it.
const steerTimeout = 15 * time.Second

// steer sends a signal and waits until the record shows that it was acted on:
// acted then puts in words what is true, and returns "" until then.
func (a *app) steer(ctx context.Context, name, message string, input any, acted func(db.Connection) string) error {
	record, c, err := a.liveConnection(ctx, name)
	if err != nil {
		return err
	}
	t, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	if err := send(ctx, t, c, message, input); err != nil {
		return err
	}
	following := a.follow(ctx, t, workflows.AccessSyncID(name))
	defer following.stop()
	waiting, cancel := context.WithTimeout(ctx, steerTimeout)
	defer cancel()
	ticker := time.NewTicker(progressInterval / 4)
	defer ticker.Stop()
	for {
		if c, err = record.Connection(ctx, name); err != nil {
			return err
		}
		if words := acted(c); words != "" {
			return a.done(name, c.State, words)
		}
		select {
		case <-waiting.Done():
			return a.done(name, c.State, "the request is delivered and takes effect when a worker has come to it")
		case <-ticker.C:
		}
	}
}
