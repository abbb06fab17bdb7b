package jamf

import (
	"context"
	"slices"

	"jamf-access-review/activities/directory"
)

// lookupPage is how many found users make a page.
const lookupPage = 100

// finder looks one user up; nil when the user is gone.
type finder func(ctx context.Context, id string) (*directory.User, error)

// Lookup implements directory.Source. A user is gone only when two answers
// agree on it: a 404 by itself may be an endpoint that is not there.
func (s *source) Lookup(ctx context.Context, ids []directory.Identity, emit func(directory.Page) error) error {
	if len(ids) == 0 {
		return nil
	}
	return outward(s.lookup(ctx, ids, emit))
}

func (s *source) lookup(ctx context.Context, ids []directory.Identity, emit func(directory.Page) error) error {
	r := &reading{source: s, at: &progress{}, emit: emit, counted: s.http.Requests()}
	var err error
	if r.survey, err = s.survey(ctx); err != nil {
		return err
	}
	finders := map[directory.Kind]finder{}
	for _, id := range ids {
		if finders[id.Kind] != nil {
			continue
		}
		if finders[id.Kind], err = r.finder(ctx, id.Kind); err != nil {
			return err
		}
	}

	var found []directory.User
	flush := func() error {
		if err := r.fillGroups(ctx, r.groups, found, r.at.Classic); err != nil {
			return err
		}
		page := directory.Page{Users: found, Requests: s.http.Requests() - r.counted}
		r.counted += page.Requests
		found = nil
		return emit(page)
	}
	err = inOrder(ctx, len(ids), s.parallel, func(ctx context.Context, i int) (*directory.User, error) {
		if !validID(text(ids[i].ID)) {
			return nil, nil
		}
		return finders[ids[i].Kind](ctx, ids[i].ID)
	}, func(user *directory.User) error {
		if user == nil {
			return nil
		}
		if found = append(found, *user); len(found) == lookupPage {
			return flush()
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return flush()
}

func (r *reading) finder(ctx context.Context, kind directory.Kind) (finder, error) {
	switch kind {
	case directory.DirectoryGroup:
		return r.findGroup, r.noGroups
	case directory.APIClient:
		return r.findClient, r.noClients
	case directory.Account:
		return r.accountFinder(ctx)
	default:
		return r.endUserFinder(ctx)
	}
}

// findGroup trusts the list that was just read whole, and asks by id for
// what is not on it.
func (r *reading) findGroup(ctx context.Context, id string) (*directory.User, error) {
	i := slices.IndexFunc(r.groups.list, func(g accountGroup) bool { return g.id == id })
	if i >= 0 {
		return directoryGroup(&r.groups.list[i], r.sites), nil
	}
	group, err := r.group(ctx, id, r.groups.classic)
	if group == nil {
		return nil, err
	}
	return directoryGroup(group, r.sites), nil
}

func directoryGroup(group *accountGroup, sites siteNames) *directory.User {
	if !group.directory {
		return nil
	}
	return new(group.user(sites))
}

func (r *reading) findClient(ctx context.Context, id string) (*directory.User, error) {
	if i := slices.IndexFunc(r.clients, func(u directory.User) bool { return u.ID == id }); i >= 0 {
		return &r.clients[i], nil
	}
	row, err := readOne[clientRow](ctx, r.source, clientsEndpoint, id)
	if row == nil {
		return nil, err
	}
	return new(row.user(r.roles)), nil
}

func (r *reading) accountFinder(ctx context.Context) (finder, error) {
	newer, err := r.answersByID(ctx, accountsEndpoint)
	if err != nil {
		return nil, err
	}
	r.at.Classic = !newer
	if !newer {
		return r.classicFinder(ctx, r.classicAccountIDs, func(ctx context.Context, id string) (*directory.User, error) {
			detail, err := readOne[classicAccountDetail](ctx, r.source, classicAccount, id)
			if detail == nil {
				return nil, err
			}
			return new(detail.user(r.sites)), nil
		})
	}
	return func(ctx context.Context, id string) (*directory.User, error) {
		row, err := readOne[accountRow](ctx, r.source, accountsEndpoint, id)
		if row == nil {
			return nil, err
		}
		return new(row.user(r.sites)), nil
	}, nil
}

func (r *reading) endUserFinder(ctx context.Context) (finder, error) {
	newer, err := r.answersByID(ctx, usersEndpoint)
	if err != nil {
		return nil, err
	}
	if !newer {
		return r.classicFinder(ctx, r.classicUserIDs, func(ctx context.Context, id string) (*directory.User, error) {
			detail, err := readOne[classicUserDetail](ctx, r.source, classicUser, id)
			if detail == nil {
				return nil, err
			}
			return new(detail.User.user()), nil
		})
	}
	return func(ctx context.Context, id string) (*directory.User, error) {
		row, err := readOne[endUserRow](ctx, r.source, usersEndpoint, id)
		if row == nil {
			return nil, err
		}
		return new(row.user()), nil
	}, nil
}

// answersByID reports whether the newer API answers for single entries of a
// list. It asks for one that is there, so that a 404 for another one means
// that it is gone.
func (r *reading) answersByID(ctx context.Context, ep endpoint) (bool, error) {
	page, err := fetchPage[anyRow](ctx, r.source, ep, 0, 1)
	switch {
	case isNotThere(err):
		return false, nil
	case err != nil:
		return false, err
	case len(page.Results) == 0:
		return false, nil
	}
	one, err := readOne[anyRow](ctx, r.source, ep, string(page.Results[0].ID))
	return one != nil, err
}

// classicFinder asks for every entry, listed or not: the list that leaves one
// out may be the one that made it missing, from a cache or a node that lags.
func (r *reading) classicFinder(ctx context.Context, list func(context.Context) ([]string, error), find finder) (finder, error) {
	ids, err := list(ctx)
	if err != nil {
		return nil, err
	}
	listed := make(map[string]bool, len(ids))
	for _, id := range ids {
		listed[id] = true
	}
	return func(ctx context.Context, id string) (*directory.User, error) {
		user, err := find(ctx, id)
		if user == nil && err == nil && listed[id] {
			err = inconsistent("an entry answers HTTP 404 although it is listed")
		}
		return user, err
	}, nil
}
