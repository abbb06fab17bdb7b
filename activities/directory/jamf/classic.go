package jamf

import (
	"context"
	"slices"
)

// classicPage is how many entries read one by one make a page.
const classicPage = 100

// readOne reads what ep has under id; nil when there is nothing.
func readOne[T row](ctx context.Context, s *source, ep endpoint, id string) (*T, error) {
	var one T
	err := s.get(ctx, ep, id, nil, &one)
	switch {
	case isNotThere(err):
		return nil, nil
	case err != nil:
		return nil, err
	case string(one.key()) != id:
		return nil, inconsistent("%s answered another entry than the one asked for", ep.path)
	}
	return &one, nil
}

// readDetails reads a list of the Classic API, which has no pages: the ids
// first, then what ep has under each, in the order of the ids and from at on.
// An entry that went away in between is left out, once the list agrees that
// it did.
func readDetails[T row](ctx context.Context, s *source, list func(context.Context) ([]string, error), ep endpoint, at *progress, yield func([]T) error) error {
	ids, err := list(ctx)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return at.Order.Last != "" && compareIDs(id, at.Order.Last) <= 0
	})
	if len(ids)-len(left) != at.Done {
		return inconsistent("%s changed while it was read", ep.path)
	}

	var gone []string
	var page []T
	flush := func(last string) error {
		at.Done += len(page)
		at.Order.Last = last
		full := page
		page = nil
		return yield(full)
	}
	next := 0
	err = inOrder(ctx, len(left), s.parallel, func(ctx context.Context, i int) (*T, error) {
		return readOne[T](ctx, s, ep, left[i])
	}, func(one *T) error {
		id := left[next]
		next++
		if one == nil {
			gone = append(gone, id)
			return nil
		}
		if page = append(page, *one); len(page) == classicPage {
			return flush(id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.confirmGone(ctx, list, ep, gone); err != nil {
		return err
	}
	if len(page) > 0 {
		return flush(string(page[len(page)-1].key()))
	}
	return nil
}

// confirmGone makes sure that entries that answered 404 are listed no more,
// so that a server that has lost its way does not pass for one whose accounts
// were removed.
func (s *source) confirmGone(ctx context.Context, list func(context.Context) ([]string, error), ep endpoint, gone []string) error {
	if len(gone) == 0 {
		return nil
	}
	ids, err := list(ctx)
	if err != nil {
		return err
	}
	for _, id := range gone {
		if slices.Contains(ids, id) {
			return inconsistent("%s/%s answers HTTP 404 although it is listed", ep.path, id)
		}
	}
	return nil
}

type classicEntry struct {
	ID text `json:"id"`
}

type classicAccountList struct {
	Accounts struct {
		Users  []classicEntry `json:"users"`
		Groups []classicEntry `json:"groups"`
	} `json:"accounts"`
}

func (s *source) classicAccountIDs(ctx context.Context) ([]string, error) {
	var list classicAccountList
	if err := s.get(ctx, classicAccounts, "", nil, &list); err != nil {
		return nil, err
	}
	return ascending(classicAccounts, list.Accounts.Users)
}

func (s *source) classicGroupIDs(ctx context.Context) ([]string, error) {
	var list classicAccountList
	if err := s.get(ctx, classicAccounts, "", nil, &list); err != nil {
		return nil, err
	}
	return ascending(classicAccounts, list.Accounts.Groups)
}

func (s *source) classicUserIDs(ctx context.Context) ([]string, error) {
	var list struct {
		Users []classicEntry `json:"users"`
	}
	if err := s.get(ctx, classicUsers, "", nil, &list); err != nil {
		return nil, err
	}
	return ascending(classicUsers, list.Users)
}

// ascending returns the ids of a list in order. A list that is absent is not
// an empty one.
func ascending(ep endpoint, entries []classicEntry) ([]string, error) {
	if entries == nil {
		return nil, inconsistent("%s answered without its list", ep.path)
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		if !validID(entry.ID) {
			return nil, inconsistent("%s lists an entry without a usable id", ep.path)
		}
		ids[i] = string(entry.ID)
	}
	slices.SortFunc(ids, compareIDs)
	if len(slices.Compact(slices.Clone(ids))) != len(ids) {
		return nil, inconsistent("%s lists an id twice", ep.path)
	}
	return ids, nil
}
