package truto

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"

	"jamf-access-review/activities/directory/httpclient"
)

// maxCursor bounds what is kept of a list that is being read.
const maxCursor = 8 << 10

// listing is one page of users.
type listing struct {
	Rows    []row           `json:"result"`
	Next    cursorText      `json:"next_cursor"`
	Count   *int            `json:"result_count"`
	Partial httpclient.Text `json:"is_partial_response"`
}

// cursorText is Truto's cursor, kept to the letter; "" is the end.
type cursorText string

func (c *cursorText) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > maxCursor:
		return errors.New("a cursor too long to keep")
	case b[0] == 'n':
		*c = ""
		return nil
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(c))
	default:
		var number json.Number
		err := json.Unmarshal(b, &number)
		*c = cursorText(number)
		return err
	}
}

// contradicts reports whether the count that a page gives of itself cannot be:
// whether it counts the page or the whole list is not documented, so that only
// what is wrong either way counts.
func (l *listing) contradicts(rowsSoFar int) bool {
	if l.Count == nil || *l.Count == len(l.Rows) {
		return false
	}
	return *l.Count < rowsSoFar || l.Next == "" && *l.Count > rowsSoFar
}

// row is a user as the unified API has it. Of its facts any may be absent, or
// null, which is not the same as an empty list.
type row struct {
	ID        httpclient.Text `json:"id"`
	Name      httpclient.Text `json:"name"`
	FirstName httpclient.Text `json:"first_name"`
	LastName  httpclient.Text `json:"last_name"`
	Username  httpclient.Text `json:"username"`
	Emails    []mail          `json:"emails"`
	Status    httpclient.Text `json:"status"`
	TwoFactor httpclient.Text `json:"is_2fa_enabled"`
	Roles     []reference     `json:"roles"`
	Groups    []reference     `json:"groups"`
}

type mail struct {
	Email   httpclient.Text `json:"email"`
	Primary httpclient.Text `json:"is_primary"`
}

// reference points to a role or a group.
type reference struct {
	ID   httpclient.Text `json:"id"`
	Name httpclient.Text `json:"name"`
}

// isBare reports whether a row only says who there is. A list that tells no details
// may write them as empty ones.
func (r *row) isBare() bool {
	return r.Username == "" && r.Status == "" && r.TwoFactor == "" && len(r.Emails)+len(r.Roles)+len(r.Groups) == 0
}

// list reads one page. A list that is absent is not an empty one, and where a user
// comes twice another has not come at all.
func (s *source) list(ctx context.Context, cursor string, limit int) (*listing, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		query.Set("next_cursor", cursor)
	}
	var page listing
	if err := s.users(ctx, "", query, &page); err != nil {
		return nil, err
	}
	if page.Rows == nil {
		return nil, inconsistent("Truto answered without its list of users")
	}
	seen := make(map[httpclient.Text]bool, len(page.Rows))
	for i := range page.Rows {
		id := page.Rows[i].ID
		switch {
		case !validID(id):
			return nil, inconsistent("Truto lists a user without a usable id")
		case seen[id]:
			return nil, inconsistent("Truto lists a user twice, in the place of another")
		}
		seen[id] = true
	}
	return &page, nil
}

// one reads one user; isNotThere when there is none.
func (s *source) one(ctx context.Context, id string) (*row, error) {
	var one row
	if err := s.users(ctx, id, url.Values{}, &one); err != nil {
		return nil, err
	}
	if string(one.ID) != id {
		return nil, inconsistent("Truto answered another user than the one asked for")
	}
	return &one, nil
}

// complete asks for each user of a page of whom the list says too little.
func (s *source) complete(ctx context.Context, page *listing) error {
	partial := page.Partial != "" && page.Partial != "false"
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(s.parallel)
	for i := range page.Rows {
		if !partial && !page.Rows[i].isBare() {
			continue
		}
		asking.Go(func() error {
			one, err := s.one(ctx, string(page.Rows[i].ID))
			switch {
			case isNotThere(err):
				return inconsistent("Truto lists a user and then does not know the user: the directory changed while it was read, or Truto does not give the details of its users")
			case err != nil:
				return err
			}
			page.Rows[i] = *one
			return nil
		})
	}
	return asking.Wait()
}
