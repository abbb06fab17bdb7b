package activities

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

const (
	// HeartbeatTimeout is how soon a dead worker is noticed; FetchUsers says
	// several times as often that it is alive.
	HeartbeatTimeout  = 20 * time.Second
	heartbeatInterval = HeartbeatTimeout / 4
	// maxReads is how often a directory that changes while it is read, or
	// contradicts itself, is read before the sync fails.
	maxReads = 3
	// confirmBatch is how many missing users are asked for at a time.
	confirmBatch = 100
)

// errWorkerStops is the cause of a fetch that ends because its worker does.
var errWorkerStops = errors.New("the worker is stopping")

// FetchUsersInput says whose users to fetch.
type FetchUsersInput struct {
	ConnectionID int64      `json:"connection_id"`
	Trigger      db.Trigger `json:"trigger"`
}

// FetchUsersResult says what was fetched.
type FetchUsersResult struct {
	Number   int `json:"number"` // of the sync
	Users    int `json:"users"`
	Requests int `json:"requests"`
}

// Progress is what FetchUsers says with its heartbeats.
type Progress struct {
	Pages    int `json:"pages"`
	Users    int `json:"users"`
	Requests int `json:"requests"`
}

// FetchUsers reads the whole directory of a connection into staging, under
// the sync of the calling workflow run. What it has stored it does not read
// again: the next attempt, on whichever worker, goes on at the last page.
func (a *Activities) FetchUsers(ctx context.Context, in FetchUsersInput) (FetchUsersResult, error) {
	f, err := a.newFetch(ctx, in)
	if err != nil {
		return FetchUsersResult{}, failure(ctx, err)
	}
	if f.sync.Outcome != db.Running {
		return FetchUsersResult{Number: f.sync.Number}, nil
	}
	running, stop := f.keepAlive(ctx)
	defer stop()
	err = f.run(running)
	if errors.Is(context.Cause(running), errWorkerStops) {
		return FetchUsersResult{}, temporal.NewApplicationErrorWithOptions(errWorkerStops.Error(), "worker_stops",
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Millisecond, Category: temporal.ApplicationErrorCategoryBenign})
	}
	if e := directory.AsError(err); e != nil && e.Code == directory.TokenRejected {
		return FetchUsersResult{}, failure(ctx, err, RejectedToken{Generation: e.Generation, Attempts: f.read.Attempts, Pages: f.read.Pages})
	}
	if err != nil {
		return FetchUsersResult{}, failure(ctx, err)
	}
	return FetchUsersResult{Number: f.sync.Number, Users: f.read.Users, Requests: f.read.Requests}, nil
}

// fetch is the reading of one snapshot.
type fetch struct {
	record     *db.DB
	source     directory.Source
	connection int64
	sync       db.Sync
	read       db.StagedRead
	progress   atomic.Pointer[Progress]

	rereadPause time.Duration
}

func (a *Activities) newFetch(ctx context.Context, in FetchUsersInput) (*fetch, error) {
	l, err := a.link(ctx, in.ConnectionID)
	if err != nil {
		return nil, err
	}
	source, err := l.provider.Open(l.settings, &recordTokens{record: a.Record, link: l})
	if err != nil {
		return nil, err
	}
	sync, err := a.Record.BeginSync(ctx, in.ConnectionID, runKey(ctx), in.Trigger)
	if err != nil {
		return nil, err
	}
	f := &fetch{
		record: a.Record, source: source, connection: in.ConnectionID, sync: sync,
		rereadPause: cmp.Or(a.RereadPause, time.Second),
	}
	if sync.Outcome == db.Running {
		f.read, err = a.Record.OpenStaging(ctx, in.ConnectionID, sync.Number)
	}
	return f, err
}

// keepAlive says how far the fetch has come, in short intervals until stop is
// called, also while the source keeps it waiting. The context it returns ends
// when the worker is about to stop, so that another worker can go on at once.
func (f *fetch) keepAlive(ctx context.Context) (running context.Context, stop func()) {
	running, cancel := context.WithCancelCause(ctx)
	ticker := time.NewTicker(heartbeatInterval)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-running.Done():
				return
			case <-activity.GetWorkerStopChannel(ctx):
				cancel(errWorkerStops)
			case <-ticker.C:
				if p := f.progress.Load(); p != nil {
					activity.RecordHeartbeat(ctx, *p)
				} else {
					activity.RecordHeartbeat(ctx)
				}
			}
		}
	}()
	return running, func() { cancel(nil) }
}

// run reads until one read is whole.
func (f *fetch) run(ctx context.Context) error {
	for {
		err := f.readOnce(ctx)
		if directory.CodeOf(err) != directory.Inconsistent || f.read.Attempts >= maxReads {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(f.rereadPause):
		}
		if f.read, err = f.record.RestartStaging(ctx, f.connection, f.sync.Number); err != nil {
			return err
		}
	}
}

func (f *fetch) readOnce(ctx context.Context) error {
	if !f.read.Complete {
		if err := f.source.Read(ctx, f.read.Cursor, f.stage(ctx)); err != nil {
			return err
		}
	}
	if err := f.record.CheckSnapshot(ctx, f.connection, f.sync.Number); err != nil {
		return err
	}
	return f.confirmMissing(ctx)
}

func (f *fetch) stage(ctx context.Context) func(directory.Page) error {
	return func(page directory.Page) (err error) {
		f.read, err = f.record.StagePage(ctx, f.connection, f.sync.Number, f.read, page)
		if err == nil {
			progress := Progress{Pages: f.read.Pages, Users: f.read.Users, Requests: f.read.Requests}
			f.progress.Store(&progress)
			activity.RecordHeartbeat(ctx, progress)
		}
		return err
	}
}

// confirmMissing asks for each account that would be removed by its id. A list
// that is read page by page leaves somebody out when entries before it go away
// meanwhile; counts do not show that when as many were added.
func (f *fetch) confirmMissing(ctx context.Context) error {
	var last directory.Identity
	for {
		missing, err := f.record.MissingAccounts(ctx, f.connection, f.sync.Number, last, confirmBatch)
		if err != nil || len(missing) == 0 {
			return err
		}
		if err := f.source.Lookup(ctx, missing, func(page directory.Page) error {
			if len(page.Users) > 0 {
				return directory.Errorf(directory.Inconsistent, "the list left out %d that are still there", len(page.Users))
			}
			return nil
		}); err != nil {
			return err
		}
		last = missing[len(missing)-1]
	}
}
