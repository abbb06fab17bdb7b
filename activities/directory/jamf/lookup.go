package jamf

import (
	"context"
	"slices"
	"sync"

	"jamf-access-review/activities/directory"
)

// finder says whether a user is still there.
type finder func(ctx context.Context, id string) (bool, error)

// Lookup implements directory.Source. A user is gone only when two answers
// agree on it: a 404 by itself may be an endpoint that is not there.
func (s *source) Lookup(ctx context.Context, ids []directory.Identity) (directory.Lookup, error) {
	if len(ids) == 0 {
		return directory.Lookup{}, nil
	}
	before := s.http.Requests()
	present, err := s.lookup(ctx, ids)
	return directory.Lookup{Present: present, Requests: s.http.Requests() - before}, outward(err)
}

func (s *source) lookup(ctx context.Context, ids []directory.Identity) (present int, err error) {
	finders := map[directory.Kind]finder{}
	for _, id := range ids {
		if finders[id.Kind] != nil {
			continue
		}
		if finders[id.Kind], err = s.finder(ctx, id.Kind); err != nil {
			return 0, err
		}
	}
	err = inOrder(ctx, len(ids), s.parallel, func(ctx context.Context, i int) (bool, error) {
		if !validID(text(ids[i].ID)) {
			return false, nil
		}
		return finders[ids[i].Kind](ctx, ids[i].ID)
	}, func(there bool) error {
		if there {
			present++
		}
		return nil
	})
	return present, err
}

func (s *source) finder(ctx context.Context, kind directory.Kind) (finder, error) {
	switch kind {
	case directory.DirectoryGroup:
		return s.groupFinder(ctx)
	case directory.APIClient:
		return s.clientFinder(ctx)
	case directory.Account:
		return s.accountFinder(ctx)
	default:
		return s.endUserFinder(ctx)
	}
}

// groupFinder reads the list whole, and asks by id for what is not on it. That it is
// gone counts where something that is listed answers by id.
func (s *source) groupFinder(ctx context.Context) (finder, error) {
	groups, err := s.loadGroups(ctx)
	if err != nil {
		return nil, err
	}
	known := sync.OnceValue(func() error {
		if len(groups.list) == 0 {
			return nil
		}
		group, err := s.group(ctx, groups.list[0].id, groups.classic)
		return agrees(group != nil, err)
	})
	return func(ctx context.Context, id string) (bool, error) {
		i := slices.IndexFunc(groups.list, func(g accountGroup) bool { return g.id == id })
		if i >= 0 {
			return groups.list[i].directory, nil
		}
		group, err := s.group(ctx, id, groups.classic)
		if group != nil || err != nil {
			return group != nil && group.directory, err
		}
		return false, known()
	}, nil
}

// agrees makes sure that something which is listed answers by its id as well: where
// nothing does, a 404 says nothing of anything else.
func agrees(there bool, err error) error {
	if err == nil && !there {
		return inconsistent("an entry answers HTTP 404 although it is listed")
	}
	return err
}

// clientFinder does so, too.
func (s *source) clientFinder(ctx context.Context) (finder, error) {
	clients, err := s.loadClients(ctx)
	if err != nil {
		return nil, err
	}
	known := sync.OnceValue(func() error { // there is one, or there is an error, see present
		return agrees(answers[clientRow](ctx, s, clientsEndpoint, string(clients[0].ID)))
	})
	return func(ctx context.Context, id string) (bool, error) {
		if slices.ContainsFunc(clients, func(c clientRow) bool { return string(c.ID) == id }) {
			return true, nil
		}
		there, err := answers[clientRow](ctx, s, clientsEndpoint, id)
		if there || err != nil {
			return there, err
		}
		return false, known()
	}, nil
}

func (s *source) accountFinder(ctx context.Context) (finder, error) {
	newer, err := s.answersByID(ctx, accountsEndpoint)
	if err != nil {
		return nil, err
	}
	if !newer {
		return s.classicFinder(ctx, s.classicAccountIDs, func(ctx context.Context, id string) (bool, error) {
			return answers[classicAccountDetail](ctx, s, classicAccount, id)
		})
	}
	return func(ctx context.Context, id string) (bool, error) {
		return answers[accountRow](ctx, s, accountsEndpoint, id)
	}, nil
}

func (s *source) endUserFinder(ctx context.Context) (finder, error) {
	newer, err := s.answersByID(ctx, usersEndpoint)
	if err != nil {
		return nil, err
	}
	if !newer {
		return s.classicFinder(ctx, s.classicUserIDs, func(ctx context.Context, id string) (bool, error) {
			return answers[classicUserDetail](ctx, s, classicUser, id)
		})
	}
	return func(ctx context.Context, id string) (bool, error) {
		return answers[endUserRow](ctx, s, usersEndpoint, id)
	}, nil
}

// answers says whether ep has something under id.
func answers[T row](ctx context.Context, s *source, ep endpoint, id string) (bool, error) {
	one, err := readOne[T](ctx, s, ep, id)
	return one != nil, err
}

// answersByID reports whether the newer API answers for single entries of a
// list. It asks for one that is there, so that a 404 for another one means
// that it is gone.
func (s *source) answersByID(ctx context.Context, ep endpoint) (bool, error) {
	page, err := fetchPage[anyRow](ctx, s, ep, 0, 1)
	switch {
	case isNotThere(err):
		return false, nil
	case err != nil:
		return false, err
	case len(page.Results) == 0:
		return false, nil
	}
	return answers[anyRow](ctx, s, ep, string(page.Results[0].ID))
}

// classicFinder asks for every entry, listed or not: the list that leaves one
// out may be the one that made it missing, from a cache or a node that lags.
func (s *source) classicFinder(ctx context.Context, list func(context.Context) ([]string, error), find finder) (finder, error) {
	ids, err := list(ctx)
	if err != nil {
		return nil, err
	}
	listed := make(map[string]bool, len(ids))
	for _, id := range ids {
		listed[id] = true
	}
	return func(ctx context.Context, id string) (bool, error) {
		there, err := find(ctx, id)
		if listed[id] {
			err = agrees(there, err)
		}
		return there, err
	}, nil
}
