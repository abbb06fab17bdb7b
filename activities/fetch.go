package activities

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"jamf-access-review/activities/directory"
	"jamf-access-review/db"
)

const (
	// maxReads is how often a directory that changes while it is read, or
	// contradicts itself, is read before the sync fails.
	maxReads = 3
	// confirmSample is how many missing users are asked for where the snapshot
	// is held for a person to look at.
	confirmSample = 100
	// confirmBatch is how many are asked for before it is noted, and
	// missingBatch how many are looked for in the record at once.
	confirmBatch = 1000
	missingBatch = 10 * confirmBatch
)

// FetchUsersInput says whose users to fetch.
type FetchUsersInput struct {
	ConnectionID int64      `json:"connection_id"`
	Trigger      db.Trigger `json:"trigger"`
	// AcceptRemovals says that a person accepts what the last snapshot that was held
	// would have taken.
	AcceptRemovals bool `json:"accept_removals,omitempty"`
}

// FetchUsersResult says what was fetched.
type FetchUsersResult struct {
	Number   int `json:"number"` // of the sync
	Users    int `json:"users"`
	Requests int `json:"requests"`
}

// FetchUsers reads the whole directory of a connection into staging, under
// the sync of the calling workflow run. What it has stored it does not read
// again: the next attempt, on whichever worker, goes on there. While
// another connection reads the same server the error is ServerTaken.
func (a *Activities) FetchUsers(ctx context.Context, in FetchUsersInput) (FetchUsersResult, error) {
	return withHeartbeat(ctx, func(ctx context.Context, report func(Progress)) (FetchUsersResult, error) {
		f, err := a.newFetch(ctx, in, report)
		if err != nil {
			return FetchUsersResult{}, err
		}
		defer f.source.Close()
		if f.sync.Outcome != db.Running {
			return FetchUsersResult{Number: f.sync.Number, Requests: f.sync.Requests}, nil
		}
		if err = a.inTurn(ctx, f.link, f.run); err != nil {
			err = f.failure(ctx, err)
		} else {
			activity.GetLogger(ctx).Info("The directory was read", "sync", f.sync.Number,
				"users", f.read.Users, "pages", f.read.Pages, "requests", f.read.Requests, "reads", f.read.Attempts)
		}
		return FetchUsersResult{Number: f.sync.Number, Users: f.read.Users, Requests: f.read.Requests}, err
	})
}

// fetch is the reading of one snapshot.
type fetch struct {
	record     *db.DB
	link       link
	source     directory.Source
	connection int64
	sync       db.Sync
	read       db.StagedRead
	report     func(Progress)

	acceptRemovals bool

	rereadPause time.Duration
}

func (a *Activities) newFetch(ctx context.Context, in FetchUsersInput, report func(Progress)) (*fetch, error) {
	l, err := a.link(ctx, in.ConnectionID)
	if err != nil {
		return nil, err
	}
	sync, err := a.Record.BeginSync(ctx, in.ConnectionID, runKey(ctx), in.Trigger)
	if err != nil {
		return nil, err
	}
	source, err := l.provider.Open(l.settings, &recordTokens{record: a.Record, link: l})
	if err != nil {
		return nil, err
	}
	return &fetch{
		record: a.Record, link: l, source: source, connection: in.ConnectionID, sync: sync, report: report,
		acceptRemovals: in.AcceptRemovals,
		rereadPause:    cmp.Or(a.RereadPause, time.Second),
	}, nil
}

// failure is failure for the error that a reading ended with: only what the
// source did since a page was last stored counts, in whichever attempt. A read
// may take hours, and attempts end for other reasons too.
func (f *fetch) failure(ctx context.Context, err error) error {
	e := directory.AsError(err)
	if e == nil || ctx.Err() != nil || errors.Is(err, db.ErrStagingLost) {
		return err
	}
	if e.Code == directory.TokenRejected {
		return sourceFailure(e, f.read.Trouble, RejectedToken{Generation: e.Generation, Attempts: f.read.Attempts, Pages: f.read.Pages})
	}
	e, more := tally(e, f.read.Trouble)
	if more != (db.Trouble{}) {
		if err := f.record.AddTrouble(ctx, f.connection, f.sync.Number, more); err != nil {
			return err
		}
	}
	return sourceFailure(e, f.read.Trouble.And(more))
}

// run reads until one read is whole.
func (f *fetch) run(ctx context.Context) (err error) {
	if f.read, err = f.record.OpenStaging(ctx, f.connection, f.sync.Number); err != nil {
		return err
	}
	for {
		err = f.readOnce(ctx)
		if directory.CodeOf(err) != directory.Inconsistent || f.read.Attempts >= maxReads {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(f.rereadPause):
		}
		if f.read, err = f.record.RestartStaging(ctx, f.connection, f.sync.Number, f.read); err != nil {
			return err
		}
	}
}

func (f *fetch) readOnce(ctx context.Context) error {
	if !f.read.Complete {
		if err := f.source.Read(ctx, f.read.Cursor, f.stage(ctx)); err != nil {
			return f.keep(ctx, err)
		}
	}
	missing, err := f.record.CheckSnapshot(ctx, f.connection, f.sync.Number, confirmSample)
	if err != nil {
		return err
	}
	return f.confirmMissing(ctx, missing)
}

// keep stores what was read before an error, so that the next attempt goes on
// there, also when the worker stops.
func (f *fetch) keep(ctx context.Context, readErr error) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	read, err := f.record.StoreRead(ctx, f.connection, f.sync.Number, f.read)
	if err == nil {
		f.read = read
	}
	return errors.Join(readErr, err)
}

func (f *fetch) stage(ctx context.Context) func(directory.Page) error {
	return func(page directory.Page) error {
		read, err := f.record.StagePage(ctx, f.connection, f.sync.Number, f.read, page)
		if err != nil {
			return err
		}
		f.read = read
		f.reportProgress()
		return nil
	}
}

// confirmMissing asks for each account that would be removed by its id. A list
// that is read page by page leaves somebody out when entries before it go away
// meanwhile; counts do not show that when as many were added. Where so many are
// missing that the snapshot is held, some are enough: none of them is removed.
func (f *fetch) confirmMissing(ctx context.Context, missing []directory.Identity) (err error) {
	for limit := confirmSample; ; limit = missingBatch {
		for batch := range slices.Chunk(missing, confirmBatch) {
			if err := f.confirmGone(ctx, batch); err != nil {
				return err
			}
		}
		if len(missing) < limit {
			return nil
		}
		if limit == confirmSample {
			held, err := f.record.HoldSnapshot(ctx, f.connection, f.sync.Number, f.acceptRemovals)
			if err != nil || held {
				return err
			}
		}
		if missing, err = f.record.MissingAccounts(ctx, f.connection, f.sync.Number, missingBatch); err != nil {
			return err
		}
	}
}

func (f *fetch) confirmGone(ctx context.Context, missing []directory.Identity) error {
	asked, err := f.source.Lookup(ctx, missing)
	if err != nil {
		return err
	}
	if asked.Present > 0 {
		return directory.Errorf(directory.Inconsistent, "the list left out %d that are still there", asked.Present)
	}
	read, err := f.record.ConfirmMissing(ctx, f.connection, f.sync.Number, f.read, missing[len(missing)-1], asked.Requests)
	if err != nil {
		return err
	}
	f.read = read
	f.reportProgress()
	return nil
}

func (f *fetch) reportProgress() {
	f.report(Progress{Pages: f.read.Pages, Users: f.read.Users, Requests: f.read.Requests})
}
