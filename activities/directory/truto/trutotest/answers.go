package trutotest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const maxLimit = 100

// answer is a status and a body.
type answer struct {
	status int
	body   any
}

func found(body any) answer { return answer{http.StatusOK, body} }

// refused is how Truto says no, in its own name or in the provider's.
func refused(status int, remote bool) answer {
	body := map[string]any{"statusCode": status, "error": http.StatusText(status), "message": "Refused"}
	if remote {
		body["truto_is_remote_error"] = true
		body["raw_response"] = map[string]any{}
	}
	return answer{status, body}
}

func (a answer) write(w http.ResponseWriter) {
	b, err := json.Marshal(a.body)
	if err != nil {
		panic(err) // bodies are this package's own
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	w.Write(b)
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(*http.Request) answer) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h(r).write(w) })
	}
	handle("GET /integrated-account/{id}/capabilities", s.capabilities)
	handle("POST /integrated-account/refresh-credentials", s.refreshCredentials)
	handle("POST /link-token", s.linkToken)
	handle("GET /unified/user-directory/users", s.listUsers)
	handle("GET /unified/user-directory/users/{id}", s.getUser)
	handle("/", func(*http.Request) answer { return refused(http.StatusNotFound, false) })
	return mux
}

// serve answers whoever has a good API token and keeps to the rates.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	known := s.tokens[token]
	admitted := known && s.admit(w.Header(), token, accountOf(r))
	s.mu.Unlock()
	switch {
	case !known:
		refused(http.StatusUnauthorized, false).write(w)
	case !admitted:
		refused(http.StatusTooManyRequests, false).write(w)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

func accountOf(r *http.Request) string {
	if id := r.URL.Query().Get("integrated_account_id"); id != "" {
		return id
	}
	if parts := strings.Split(r.URL.Path, "/"); len(parts) == 4 && parts[1] == "integrated-account" {
		return parts[2]
	}
	return ""
}

func (s *Server) capabilities(r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[r.PathValue("id")]
	if a == nil {
		return refused(http.StatusNotFound, false)
	}
	return found(map[string]any{
		"integration": map[string]any{"id": "1", "name": a.integration},
		"unified":     []any{map[string]any{"resource": "users", "methods": []string{"list", "get"}}},
		"account": map[string]any{
			"id": a.id, "status": a.status, "authentication_method": "oauth2", "is_blocked": a.blocked,
		},
	})
}

func (s *Server) refreshCredentials(r *http.Request) answer {
	var body struct{ ID string }
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return refused(http.StatusBadRequest, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[body.ID]
	if a == nil {
		return refused(http.StatusNotFound, false)
	}
	a.refreshes++
	switch a.refresh {
	case RefreshFails:
		return found(map[string]any{"success": false})
	case RefreshRejected:
		return refused(http.StatusUnauthorized, true)
	case RefreshMends:
		a.accept()
	}
	return found(map[string]any{"success": true})
}

func (s *Server) linkToken(r *http.Request) answer {
	var body struct {
		Account string `json:"integrated_account_id"`
		Tenant  string `json:"tenant_id"`
		Persist bool   `json:"persist_previous_context"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[body.Account]
	switch {
	case err != nil || body.Tenant != "" || !body.Persist:
		return refused(http.StatusBadRequest, false)
	case a == nil:
		return refused(http.StatusNotFound, false)
	}
	link := rand.Text()
	s.links[link] = a
	return answer{http.StatusCreated, map[string]any{"link_token": link}}
}

// readable returns the account that is asked about, or why it cannot be read.
func (s *Server) readable(r *http.Request) (*Account, *answer) {
	a := s.accounts[r.URL.Query().Get("integrated_account_id")]
	switch {
	case a == nil:
		return nil, new(refused(http.StatusNotFound, false))
	case a.blocked:
		return nil, new(refused(http.StatusServiceUnavailable, false))
	case a.rejected:
		a.status = NeedsReauth
		return nil, new(refused(http.StatusUnauthorized, true))
	case a.missing != nil:
		no := refused(http.StatusForbidden, true)
		no.body.(map[string]any)["truto_error_insight"] = map[string]any{
			"forbidden_error": map[string]any{"value": map[string]any{"missing_scopes": a.missing}},
		}
		return nil, &no
	}
	return a, nil
}

func (s *Server) listUsers(r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, no := s.readable(r)
	if no != nil {
		return *no
	}
	query := r.URL.Query()
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > maxLimit {
		limit = maxLimit
	}
	at, ok := parsePlace(query.Get("next_cursor"))
	if !ok {
		return refused(http.StatusUnprocessableEntity, false)
	}
	return found(a.page(at, limit))
}

// place is what a cursor stands for: an offset, and how many empty pages have
// come before it.
type place struct{ offset, empty int }

func (p place) cursor() string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d?%d", p.offset, p.empty))
}

func parsePlace(cursor string) (p place, ok bool) {
	if cursor == "" {
		return p, true
	}
	b, err := base64.StdEncoding.DecodeString(cursor)
	if err != nil {
		return p, false
	}
	_, err = fmt.Sscanf(string(b), "%d?%d", &p.offset, &p.empty)
	return p, err == nil && p.offset >= 0
}

func (a *Account) page(at place, limit int) map[string]any {
	if size := a.quirks.PageSize; size > 0 {
		limit = min(limit, size)
	}
	rows := []any{}
	next := place{at.offset, at.empty + 1}
	if at.empty >= a.quirks.EmptyPages {
		next = place{offset: min(at.offset+limit, len(a.users))}
		for _, u := range a.users[min(at.offset, len(a.users)):next.offset] {
			rows = append(rows, a.row(u, a.quirks.NamesOnly))
		}
	}
	page := map[string]any{
		"result": rows, "result_count": len(rows), "prev_cursor": nil, "is_partial_response": a.quirks.SaysPartial,
	}
	switch {
	case next.offset < len(a.users) || next.empty > 0:
		page["next_cursor"] = next.cursor()
	case a.quirks.End == EndNull:
		page["next_cursor"] = nil
	case a.quirks.End == EndEmpty:
		page["next_cursor"] = ""
	}
	return page
}

func (s *Server) getUser(r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, no := s.readable(r)
	if no != nil {
		return *no
	}
	i := indexOf(a.users, r.PathValue("id"))
	if i < 0 {
		return refused(http.StatusNotFound, true)
	}
	return found(a.row(a.users[i], false))
}

// row is a user as Truto writes one, with timestamps in both of its forms.
func (a *Account) row(u User, namesOnly bool) map[string]any {
	row := map[string]any{"id": u.ID, "name": u.Name}
	if n, err := strconv.Atoi(u.ID); err == nil && a.quirks.NumericIDs {
		row["id"] = n
	}
	if namesOnly {
		return row
	}
	row["username"], row["is_2fa_enabled"] = u.Username, u.MFA
	row["created_at"], row["updated_at"] = "2024-09-01 10:00:00", "2024-09-01T10:00:00.000Z"
	if u.Status != "" {
		row["status"] = u.Status
	}
	if u.Emails != nil {
		emails := []any{}
		for i, address := range u.Emails {
			emails = append(emails, map[string]any{"email": address, "type": "work", "is_primary": i == u.Primary})
		}
		row["emails"] = emails
	}
	if u.Roles != nil {
		row["roles"] = references(u.Roles)
	}
	if u.Groups != nil {
		row["groups"] = references(u.Groups)
	}
	return row
}

func references(names []string) []any {
	list := []any{}
	for i, name := range names {
		list = append(list, map[string]any{"id": strconv.Itoa(i + 1), "name": name})
	}
	return list
}
