package truto

import (
	"context"

	"jamf-access-review/activities/directory"
)

// Read implements directory.Source. Truto gives no total, so a read is whole
// when its pages lead to an end without a contradiction, and lead there past
// the same users a second time: when somebody goes away, those behind move up,
// and one moves from the page that comes next to the one that was read already.
// The pages are smaller that time, so that what goes wrong between two of them
// goes wrong elsewhere.
// A user who comes twice is emitted twice, for the caller to refuse.
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
		users, err := r.step(ctx)
		if err != nil {
			return err
		}
		if err := r.page(users); err != nil {
			return err
		}
	}
	return nil
}

// step reads a page, or looks at one again once all were read. How many users Truto
// puts on a page is its own affair: one that is not full may have lost its cursor.
func (r *reading) step(ctx context.Context) ([]directory.User, error) {
	if r.at.Again != nil {
		return nil, r.again(ctx)
	}
	users, err := r.next(ctx)
	if err == nil && r.at.Next == "" {
		r.at.Again = &walk{}
	}
	return users, err
}

// again looks at one page once more, and after the last one whether all were
// there that were there before.
func (r *reading) again(ctx context.Context) error {
	page, err := r.list(ctx, r.at.Again.Next, r.pageSize-r.pageSize/3)
	if err == nil {
		err = r.at.Again.take(page)
	}
	if err != nil || r.at.Again.Next != "" {
		return err
	}
	if !r.at.Again.met(&r.at.walk) {
		return inconsistent("Truto's list of users changed while it was read")
	}
	r.at = r.at.end()
	return nil
}

// next reads one page and moves on past it.
func (r *reading) next(ctx context.Context) ([]directory.User, error) {
	page, err := r.list(ctx, r.at.Next, r.pageSize)
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
