package jamf

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

// survey is what is read before the accounts: what the source says of itself,
// and the small lists that users are made of.
type survey struct {
	report  directory.Report
	groups  *accountGroups
	clients []directory.User
	roles   map[string][]string // privileges of API roles by name
	sites   siteNames
	// noGroups, noClients, noRoles and noSites are why these were not read, if so.
	noGroups, noClients, noRoles, noSites error
}

func (s *source) survey(ctx context.Context) (*survey, error) {
	var (
		out    survey
		limits limits
		rows   []clientRow
	)
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(s.parallel)
	reading.Go(func() (err error) {
		out.report.Version, err = s.version(ctx)
		return err
	})
	reading.Go(func() (err error) {
		out.groups, err = s.loadGroups(ctx)
		out.noGroups, err = limits.accept(groupsEndpoint, err)
		return err
	})
	reading.Go(func() (err error) {
		rows, err = s.loadClients(ctx)
		out.noClients, err = limits.accept(clientsEndpoint, err)
		return err
	})
	reading.Go(func() (err error) {
		out.roles, err = s.loadRoles(ctx)
		out.noRoles, err = limits.accept(rolesEndpoint, err)
		return err
	})
	reading.Go(func() error {
		out.sites, out.noSites = s.loadSites(ctx)
		return limits.tolerate(sitesEndpoint, out.noSites)
	})
	reading.Go(func() (err error) {
		out.report.SingleSignOn, err = s.singleSignOn(ctx)
		return limits.tolerate(ssoEndpoint, err)
	})
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	for _, row := range rows {
		out.clients = append(out.clients, row.user(out.roles))
	}
	slices.SortFunc(out.clients, func(a, b directory.User) int { return compareIDs(a.ID, b.ID) })
	out.report.Limitations = limits.sorted()
	return &out, nil
}

// identity is equal for two surveys from which the same users are made, and that
// leave as much unread.
func (s *survey) identity() string {
	h := fnv.New128a()
	if s.groups != nil {
		fmt.Fprintf(h, "%#v", s.groups.list)
	}
	b, _ := json.Marshal([]any{s.sites, s.clients, s.noGroups != nil, s.noClients != nil, s.noRoles != nil, s.noSites != nil}) // cannot fail
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// limits collects what may not be read and need not be.
type limits struct {
	mu   sync.Mutex
	list []directory.Limitation
}

// accept splits err: what ep's own missing privilege costs, or an answer that
// cannot be, is noted and returned as missing, anything else is returned as
// err.
func (l *limits) accept(ep endpoint, err error) (missing, other error) {
	limitation := directory.Limitation{Lost: ep.lost}
	absent, isAbsent := errors.AsType[*absentError](err)
	e := directory.AsError(err)
	switch {
	case isAbsent:
		limitation.Reason = absent.reason
		err = outward(err)
	case e != nil && e.Code == directory.MissingPrivilege && e.Privilege == ep.privilege && ep.lost != "":
		limitation.Privilege = ep.privilege
	default:
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, limitation)
	return err, nil
}

// tolerate is accept for what may be missing as well because the server does not
// know ep.
func (l *limits) tolerate(ep endpoint, err error) error {
	if isNotThere(err) {
		return nil
	}
	_, err = l.accept(ep, err)
	return err
}

func (l *limits) sorted() []directory.Limitation {
	slices.SortFunc(l.list, func(a, b directory.Limitation) int {
		return cmp.Or(cmp.Compare(a.Privilege, b.Privilege), cmp.Compare(a.Lost, b.Lost))
	})
	return l.list
}

// version is "" on a server too old to say.
func (s *source) version(ctx context.Context) (string, error) {
	var answer struct {
		Version text `json:"version"`
	}
	err := s.get(ctx, versionEndpoint, "", nil, &answer)
	if isNotThere(err) {
		return "", nil
	}
	if err == nil && answer.Version == "" {
		err = inconsistent("%s answered without a version", versionEndpoint.path)
	}
	return string(answer.Version), err
}

func (s *source) singleSignOn(ctx context.Context) (*directory.SingleSignOn, error) {
	var answer struct {
		Enabled flag `json:"ssoEnabled"`
		Bypass  flag `json:"ssoBypassAllowed"`
		Type    text `json:"configurationType"`
	}
	if err := s.get(ctx, ssoEndpoint, "", nil, &answer); err != nil {
		return nil, err
	}
	if answer.Enabled.value == nil {
		return nil, nil
	}
	return &directory.SingleSignOn{
		Enabled:       *answer.Enabled.value,
		BypassAllowed: answer.Bypass.value != nil && *answer.Bypass.value,
		Type:          string(answer.Type),
	}, nil
}

// siteList is a list of sites as either API answers it: bare, or under a name.
type siteList []classicReference

func (l *siteList) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return httpclient.Decode(b, (*[]classicReference)(l))
	}
	var under struct {
		Results []classicReference `json:"results"`
		Sites   []classicReference `json:"sites"`
	}
	if err := httpclient.Decode(b, &under); err != nil {
		return err
	}
	if under.Results == nil && under.Sites == nil {
		return errors.New("no list of sites")
	}
	*l = append(under.Results, under.Sites...)
	return nil
}

func (s *source) loadSites(ctx context.Context) (siteNames, error) {
	var list siteList
	err := s.get(ctx, sitesEndpoint, "", nil, &list)
	if isNotThere(err) {
		err = s.get(ctx, classicSites, "", nil, &list)
	}
	names := siteNames{}
	for _, site := range list {
		names[string(site.ID)] = string(site.Name)
	}
	return names, err
}
