package truto

import (
	"context"

	"jamf-access-review/activities/directory"
)

// Read implements directory.Source. Truto gives no total, so a read is whole
// when its pages lead to an end without a contradiction; that nobody was left
// out on the way is for Lookup to find out. A user who comes twice is emitted
// twice, for the caller to refuse.
func (s *source) Read(ctx context.Context, from directory.Cursor, emit func(directory.Page) error) error {
	at, err := parseCursor(from, s.scope)
	if err != nil {
		return err
	}
	r := &reading{source: s, at: at, emit: emit, counted: s.http.Requests()}
	if at.Summary != nil {
		return r.page(nil)
	}
	return outward(r.run(ctx))
}

// reading is one call of Read.
type reading struct {
	*source
	at      *progress
	emit    func(directory.Page) error
	counted int // requests reported so far
}

func (r *reading) run(ctx context.Context) error {
	if err := r.checkAccount(ctx); err != nil {
		return err
	}
	for r.at.Summary == nil {
		users, err := r.next(ctx)
		if err != nil {
			return err
		}
		if r.at.Next == "" {
			r.at = &progress{Summary: &directory.Summary{Totals: r.at.Totals, LeftOut: r.at.LeftOut}}
		}
		if err := r.page(users); err != nil {
			return err
		}
	}
	return nil
}

// next reads one page and moves on past it.
func (r *reading) next(ctx context.Context) ([]directory.User, error) {
	page, err := r.list(ctx, r.at.Next, pageSize)
	if err != nil {
		return nil, err
	}
	if err := r.at.take(page); err != nil {
		return nil, err
	}
	if err := r.complete(ctx, page); err != nil {
		return nil, err
	}
	var users []directory.User
	for i := range page.Rows {
		kind, leftOut := page.Rows[i].place(r.scope)
		if leftOut != "" {
			r.at.LeftOut[leftOut]++
			continue
		}
		r.at.Totals[kind]++
		users = append(users, page.Rows[i].user(kind))
	}
	return users, nil
}

// page emits users and where to go on after them.
func (r *reading) page(users []directory.User) error {
	requests := r.http.Requests()
	page := directory.Page{
		Users:    users,
		Cursor:   r.at.cursor(),
		Requests: requests - r.counted,
		Summary:  r.at.Summary,
	}
	r.counted = requests
	return r.emit(page)
}
