package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"jamf-access-review/activities"
	"jamf-access-review/starter/output"
	"jamf-access-review/workflows"
)

const (
	progressInterval = 400 * time.Millisecond
	progressTimeout  = time.Second
	queryTimeout     = 3 * time.Second
	// Nobody to do the work is mentioned sooner than somebody who does not: most
	// often it is just being done.
	absence = 2 * time.Second
	silence = 5 * time.Second
)

// follow says, on standard error, what a workflow is doing, until it is
// stopped.
func (a *app) follow(ctx context.Context, t client.Client, workflowID string) *follower {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	f := &follower{app: a, temporal: t, workflowID: workflowID, answered: time.Now(), silent: map[string]bool{}}
	f.stop = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				f.look(ctx)
			}
		}
	}()
	return f
}

// follower remembers what it said, so as to say each thing once.
type follower struct {
	stop       func()
	app        *app
	temporal   client.Client
	workflowID string
	doing      string
	trouble    string
	users      int
	// answered is when Temporal and a worker last answered, and silent what was
	// said of who does not.
	answered time.Time
	silent   map[string]bool
}

// look looks once. What cannot be seen is left out: the workflow itself is
// waited for elsewhere, with its errors. A look that was begun is finished:
// Temporal's development server may answer nothing any more once a request was
// cancelled while SQLite worked on it ("interrupted (9)" in its log).
func (f *follower) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), progressTimeout)
	defer cancel()
	description, err := f.temporal.DescribeWorkflowExecution(ctx, f.workflowID, "")
	if _, missing := errors.AsType[*serviceerror.NotFound](err); missing {
		return
	}
	if err != nil {
		f.unanswered(silence, "waiting: Temporal does not answer")
		return
	}
	for _, pending := range description.PendingActivities {
		f.activity(pending)
	}
	if description.PendingWorkflowTask != nil || !f.query(ctx) {
		f.waitForWorker(ctx)
		return
	}
	f.answered = time.Now()
}

// query asks the workflow what it is doing, and reports whether it answers.
func (f *follower) query(ctx context.Context) bool {
	answer, err := f.temporal.QueryWorkflow(ctx, f.workflowID, "", workflows.StatusQuery)
	if err != nil {
		return false
	}
	var status workflows.Status
	if err := answer.Get(&status); err == nil {
		f.says(status.Doing)
	}
	return true
}

// waitForWorker says so when nobody works on the task queue, or nobody who polls
// it does.
func (f *follower) waitForWorker(ctx context.Context) {
	if time.Since(f.answered) < absence {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), progressTimeout)
	defer cancel()
	queue, err := f.temporal.DescribeTaskQueue(ctx, workflows.TaskQueue, enums.TASK_QUEUE_TYPE_WORKFLOW)
	switch {
	case err != nil:
	case len(queue.Pollers) == 0:
		f.unanswered(absence, fmt.Sprintf("waiting: no worker polls the task queue %q; start one: go run ./worker", workflows.TaskQueue))
	default:
		f.unanswered(silence, "waiting: no worker has taken this yet; `starter doctor` looks at workers, and their logs say more")
	}
}

// unanswered says once, after a time without an answer, who does not answer.
func (f *follower) unanswered(after time.Duration, who string) {
	if f.silent[who] || time.Since(f.answered) < after {
		return
	}
	f.silent[who] = true
	f.app.say("  %s", who)
}

// says says what is being done, and which steps were taken to get there: they
// can be faster than they are looked at.
func (f *follower) says(doing string) {
	if doing == f.doing {
		return
	}
	steps := workflows.ConnectSteps()
	from, to := slices.Index(steps, f.doing)+1, slices.Index(steps, doing)
	if to < 0 {
		f.app.say("  %s", doing)
	}
	for i := from; i <= to; i++ {
		f.app.say("  %s", steps[i])
	}
	f.doing = doing
}

// activity says how far a fetch has come, and why an activity is tried again.
func (f *follower) activity(pending *workflow.PendingActivityInfo) {
	var progress activities.Progress
	if details := pending.HeartbeatDetails; details != nil &&
		converter.GetDefaultDataConverter().FromPayloads(details, &progress) == nil && progress.Users >= f.users+1000 {
		f.users = progress.Users
		f.app.say("  %d users read", f.users)
	}
	if trouble := retrying(pending); trouble != "" && trouble != f.trouble {
		f.trouble = trouble
		f.app.say("  %s", output.Clean(trouble))
	}
}

// retrying says why an activity is tried again, and when; "" when it is not.
func retrying(pending *workflow.PendingActivityInfo) string {
	if pending.LastFailure == nil || pending.Attempt < 2 {
		return ""
	}
	why := pending.LastFailure.Message
	if pending.LastFailure.GetTimeoutFailureInfo() != nil {
		why = "the worker that had it fell silent"
	}
	trouble := fmt.Sprintf("waiting: %s (try %d)", why, pending.Attempt)
	if next := pending.ScheduledTime; next != nil && next.AsTime().After(time.Now()) {
		trouble += ", again at " + next.AsTime().UTC().Format(time.TimeOnly) + " UTC"
	}
	return trouble
}
