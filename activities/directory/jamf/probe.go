package jamf

import (
	"context"

	"jamf-access-review/activities/directory"
)

// nobody is an id that no entry has: asking for it costs next to nothing and
// shows whether one may ask.
const nobody = "0"

// Privileges are what it takes to read a Jamf Pro in a scope, each with what is
// not read without it: "" for those that nothing is read without.
func Privileges(scope directory.Scope) []directory.Limitation {
	endpoints := []endpoint{accountsEndpoint}
	if scope == directory.ScopeEveryone {
		endpoints = append(endpoints, usersEndpoint)
	}
	endpoints = append(endpoints, groupsEndpoint, clientsEndpoint, rolesEndpoint, sitesEndpoint, ssoEndpoint)
	var privileges []directory.Limitation
	for _, ep := range endpoints {
		privileges = append(privileges, directory.Limitation{Privilege: ep.privilege, Lost: ep.lost})
	}
	return privileges
}

// Probe implements directory.Source.
func (s *source) Probe(ctx context.Context) (directory.Report, error) {
	report, err := s.probe(ctx)
	return report, outward(err)
}

func (s *source) probe(ctx context.Context) (directory.Report, error) {
	var (
		report directory.Report
		limits limits
		err    error
	)
	if report.Version, err = s.version(ctx); err != nil {
		return report, notJamfIfInconsistent(err)
	}
	if err := s.mayReadAccounts(ctx); err != nil {
		return report, err
	}
	if s.scope == directory.ScopeEveryone {
		if err := s.mayReadUsers(ctx); err != nil {
			return report, err
		}
	}
	for _, ep := range []endpoint{groupsEndpoint, clientsEndpoint, rolesEndpoint} {
		var page listing[anyRow]
		err := s.get(ctx, ep, "", pageQuery(0, 1), &page)
		if ep != groupsEndpoint {
			err = present(ep, len(page.Results), err)
		}
		if err := limits.tolerate(ep, err); err != nil {
			return report, err
		}
	}
	_, err = s.loadSites(ctx)
	if err := limits.tolerate(sitesEndpoint, err); err != nil {
		return report, err
	}
	report.SingleSignOn, err = s.singleSignOn(ctx)
	if err := limits.tolerate(ssoEndpoint, err); err != nil {
		return report, err
	}
	report.Limitations = limits.sorted()
	return report, nil
}

// anyRow is an entry of which nothing is of interest.
type anyRow struct {
	ID text `json:"id"`
}

func (r anyRow) key() text { return r.ID }

func (s *source) mayReadAccounts(ctx context.Context) error {
	_, err := fetchPage[anyRow](ctx, s, accountsEndpoint, 0, 1)
	if isNotThere(err) {
		_, err = s.classicAccountIDs(ctx)
	}
	return err
}

// mayReadUsers does not list end users of the Classic API: there may be a
// million.
func (s *source) mayReadUsers(ctx context.Context) error {
	_, err := fetchPage[anyRow](ctx, s, usersEndpoint, 0, 1)
	if isNotThere(err) {
		_, err = readOne[classicUserDetail](ctx, s, classicUser, nobody)
	}
	return err
}

// notJamfIfInconsistent reads a first answer that makes no sense as one of
// something else than a Jamf Pro.
func notJamfIfInconsistent(err error) error {
	if e := directory.AsError(err); e != nil && e.Code == directory.Inconsistent {
		return directory.Errorf(directory.Unreachable, "this does not look like a Jamf Pro: %s", e.Message)
	}
	return err
}
