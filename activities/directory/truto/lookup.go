package truto

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

const (
	// lookupBatch is how many rows are held at a time.
	lookupBatch = 100
	// maxEmptyPages is how far a list is followed for somebody who is on it.
	maxEmptyPages = 100
)

// Lookup implements directory.Source. A user is gone when Truto does not know
// it, says that it is deleted, or when it is no longer of the kind, or in the
// scope, that it was of. A 404 counts only once Truto has shown that it
// answers for somebody: by itself it may be a path that is not there.
func (s *source) Lookup(ctx context.Context, ids []directory.Identity) (directory.Lookup, error) {
	l := &lookup{source: s}
	before := s.http.Requests()
	var err error
	for batch := range slices.Chunk(ids, lookupBatch) {
		if err = l.batch(ctx, batch); err != nil {
			break
		}
	}
	return directory.Lookup{Present: l.present, Requests: s.http.Requests() - before}, outward(err)
}

// lookup is one call of Lookup.
type lookup struct {
	*source
	present int
	// trusted is set once a 404 is known to mean that a user is gone.
	trusted bool
}

func (l *lookup) batch(ctx context.Context, ids []directory.Identity) error {
	rows := make([]*row, len(ids)) // nil where Truto knows nobody
	asking, within := errgroup.WithContext(ctx)
	asking.SetLimit(l.parallel)
	for i, id := range ids {
		if !validID(httpclient.Text(id.ID)) {
			continue
		}
		asking.Go(func() (err error) {
			if rows[i], err = l.one(within, id.ID); isNotThere(err) {
				return nil
			}
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return err
	}
	if slices.Contains(rows, nil) {
		if err := l.trustAbsence(ctx); err != nil {
			return err
		}
	}
	for i, row := range rows {
		if row.isStill(ids[i].Kind, l.scope) {
			l.present++
		}
	}
	return nil
}

// isStill says whether a row, nil where there is none, is of the kind that it was.
func (r *row) isStill(kind directory.Kind, scope directory.Scope) bool {
	if r == nil {
		return false
	}
	is, leftOut := r.place(scope)
	return leftOut == "" && is == kind
}

// trustAbsence asks for somebody who is listed, and so is certainly there.
func (l *lookup) trustAbsence(ctx context.Context) error {
	if l.trusted {
		return nil
	}
	listed, err := l.anybody(ctx)
	if err != nil {
		return err
	}
	_, err = l.one(ctx, listed)
	if isNotThere(err) {
		return inconsistent("Truto does not know a user that it lists, so that nobody can be told to be gone")
	}
	l.trusted = err == nil
	return err
}

// anybody returns the id of the first user on the list.
func (l *lookup) anybody(ctx context.Context) (string, error) {
	cursor := ""
	for range maxEmptyPages {
		page, err := l.list(ctx, cursor, 1)
		switch {
		case err != nil:
			return "", err
		case len(page.Rows) > 0:
			return string(page.Rows[0].ID), nil
		case page.Next == "":
			return "", inconsistent("Truto lists nobody, so that nobody can be told to be gone")
		}
		cursor = string(page.Next)
	}
	return "", inconsistent("Truto lists nobody on its first %d pages", maxEmptyPages)
}
