package jamf

import (
	"context"
	"slices"

	"jamf-access-review/activities/directory"
)

// inMemoryPage is how many users of a list in memory make a page.
const inMemoryPage = 500

// keptInJamf is why an account group is no entry of its own: its members have
// accounts, but for those who come by single sign-on.
const keptInJamf = "account groups that Jamf Pro keeps itself"

// Read implements directory.Source.
func (s *source) Read(ctx context.Context, from directory.Cursor, emit func(directory.Page) error) error {
	at, err := parseCursor(from)
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
	*survey
	at      *progress
	emit    func(directory.Page) error
	counted int // requests reported so far
}

func (r *reading) run(ctx context.Context) (err error) {
	if r.survey, err = r.source.survey(ctx); err != nil {
		return err
	}
	identity := r.survey.identity()
	if r.at.Survey != "" && r.at.Survey != identity {
		return inconsistent("the groups, API clients, roles or sites changed, or what may be read of them, while the directory was read")
	}
	r.at.Survey = identity
	kinds := directory.Kinds()
	for i, kind := range kinds {
		if i < slices.Index(kinds, r.at.Section) {
			continue
		}
		if err := r.section(ctx, kind); err != nil {
			return err
		}
	}
	r.at = &progress{Summary: &directory.Summary{
		Report:  r.report,
		Totals:  r.at.Totals,
		LeftOut: r.leftOut(),

		GroupsUnread:     r.noGroups != nil,
		RolesUnread:      r.noRoles != nil,
		PrivilegesUnread: !r.at.Privileges,
		SitesUnread:      r.noSites != nil,
		InternalGroups:   r.internalGroups(),
	}}
	return r.page(nil)
}

// section reads one kind, unless it may not be read or is not in scope, and
// notes its total.
func (r *reading) section(ctx context.Context, kind directory.Kind) error {
	size := r.pageSize
	if kind == directory.EndUser {
		size = r.userPageSize
	}
	if r.at.Section != kind {
		r.at = r.at.enter(kind, size)
	} else if r.at.Size == 0 {
		r.at.Size = size
	}
	var err error
	switch kind {
	case directory.DirectoryGroup, directory.APIClient:
		users, ok := r.inMemory(kind)
		if !ok {
			return nil
		}
		err = r.emitAll(users)
	case directory.Account:
		if err = r.accounts(ctx); err == nil && r.at.Groupless {
			err = r.sameGroups(ctx)
		}
		r.at.Privileges = r.at.Classic // which alone lists them
	case directory.EndUser:
		if r.scope != directory.ScopeEveryone {
			return nil
		}
		err = r.endUsers(ctx)
	}
	if err == nil {
		r.at.Totals[kind] = r.at.Done
	}
	return err
}

// inMemory returns the users of a kind that the survey has read, if it could.
func (r *reading) inMemory(kind directory.Kind) ([]directory.User, bool) {
	if kind == directory.APIClient {
		return r.clients, r.noClients == nil
	}
	if r.noGroups != nil {
		return nil, false
	}
	return r.groups.directoryGroups(r.sites), true
}

func (r *reading) emitAll(users []directory.User) error {
	r.at.Total = new(len(users)) // which a resumption does not change, see identity
	for chunk := range slices.Chunk(users[r.at.Done:], inMemoryPage) {
		r.at.Done += len(chunk)
		if err := r.page(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) accounts(ctx context.Context) error {
	if !r.at.Classic {
		err := readPages(ctx, r.source, accountsEndpoint, r.at, func(rows []accountRow) error {
			return r.accountPage(ctx, users(rows, func(row accountRow) directory.User { return row.user(r.sites) }))
		})
		if again, err := r.fallBack(err); !again {
			return err
		}
	}
	return readDetails(ctx, r.source, r.classicAccountIDs, classicAccount, r.at, func(details []classicAccountDetail) error {
		return r.accountPage(ctx, users(details, func(d classicAccountDetail) directory.User { return d.user(r.sites) }))
	})
}

func (r *reading) accountPage(ctx context.Context, users []directory.User) error {
	if err := r.fillGroups(ctx, r.groups, users, r.at.Classic); err != nil {
		return err
	}
	if r.groups != nil && slices.ContainsFunc(users, groupless) {
		r.at.Groupless = true
	}
	return r.page(users)
}

// sameGroups makes sure that the groups are those that the accounts were given:
// one that came into its group after that was read seems to be in none.
func (r *reading) sameGroups(ctx context.Context) error {
	again := *r.survey
	var err error
	if again.groups, err = r.loadGroups(ctx); err != nil {
		return err
	}
	if again.identity() != r.at.Survey {
		return inconsistent("the groups changed while the directory was read")
	}
	return nil
}

func (r *reading) endUsers(ctx context.Context) error {
	if !r.at.Classic {
		err := readPages(ctx, r.source, usersEndpoint, r.at, func(rows []endUserRow) error {
			return r.page(users(rows, endUserRow.user))
		})
		if again, err := r.fallBack(err); !again {
			return err
		}
	}
	return readDetails(ctx, r.source, r.classicUserIDs, classicUser, r.at, func(details []classicUserDetail) error {
		return r.page(users(details, func(d classicUserDetail) directory.User { return d.User.user() }))
	})
}

// fallBack goes over to the Classic API when the newer one does not have the
// list. Once part of it was read it does have it, and a 404 is no reason.
func (r *reading) fallBack(err error) (bool, error) {
	switch {
	case !isNotThere(err):
		return false, err
	case r.at.Total != nil:
		return false, inconsistent("%s while it was being read", err)
	}
	r.at.Classic = true
	return true, nil
}

func (r *reading) leftOut() map[string]int {
	if n := r.internalGroups(); n > 0 {
		return map[string]int{keptInJamf: n}
	}
	return nil
}

func (r *reading) internalGroups() int {
	if r.groups == nil {
		return 0
	}
	return len(r.groups.list) - r.at.Totals[directory.DirectoryGroup]
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

func users[T any](rows []T, user func(T) directory.User) []directory.User {
	out := make([]directory.User, len(rows))
	for i, row := range rows {
		out[i] = user(row)
	}
	return out
}
