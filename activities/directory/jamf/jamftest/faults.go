package jamftest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"

	"jamf-access-review/activities/directory/faults"
)

// SetFault makes requests go wrong; nil ends that.
func (s *Server) SetFault(f faults.Func) { s.fault.Store(&f) }

// OnPage makes requests for one page of a list go wrong.
func OnPage(path string, page int, f *faults.Fault) faults.Func {
	return func(r *http.Request) *faults.Fault {
		if r.URL.Path == path && r.URL.Query().Get("page") == strconv.Itoa(page) {
			return f
		}
		return nil
	}
}

// HTML is an answer of markup.
func HTML(status int, text string) *faults.Fault {
	return faults.Answer(status, page(text), "Content-Type", htmlType)
}

// Maintenance is the page that the edge answers during maintenance.
func Maintenance() *faults.Fault { return HTML(http.StatusServiceUnavailable, "Down for maintenance") }

// WrongTotal adds to a list's total.
func WrongTotal(more int) *faults.Fault {
	return faults.Rewritten(func(list map[string]any) {
		if total, ok := list["totalCount"].(float64); ok {
			list["totalCount"] = total + float64(more)
		}
	})
}

// LargestTotal answers a list with the largest total that there can be.
func LargestTotal() *faults.Fault {
	total := regexp.MustCompile(`"totalCount": ?\d+`)
	return &faults.Fault{Rewrite: func(b []byte) []byte {
		return total.ReplaceAll(b, fmt.Appendf(nil, `"totalCount":%d`, math.MaxInt))
	}}
}

// NoTotal answers a list that does not say how long it is.
func NoTotal() *faults.Fault {
	return faults.Rewritten(func(list map[string]any) { delete(list, "totalCount") })
}

// NoPages answers the whole list without a total, whichever page is asked for.
func NoPages() *faults.Fault {
	f := NoTotal()
	f.Ask = func(r *http.Request) {
		r.URL.RawQuery = url.Values{"page-size": {"1000000"}, "sort": {"id:asc"}}.Encode()
	}
	return f
}

// EmptyList answers no entries under a list's true total.
func EmptyList() *faults.Fault {
	return faults.Rewritten(func(list map[string]any) { list["results"] = []any{} })
}

// NoEntries answers an empty list that says that it is the whole one.
func NoEntries() *faults.Fault {
	return faults.Rewritten(func(list map[string]any) { list["results"], list["totalCount"] = []any{}, 0 })
}

// Without leaves the entry of an id out of a list of the Classic API, as a
// cache or a node that lags does. What is answered for the id is untouched.
func Without(id int) *faults.Fault {
	return faults.Rewritten(func(body map[string]any) {
		if accounts, ok := body["accounts"].(map[string]any); ok {
			body = accounts
		}
		users, _ := body["users"].([]any)
		body["users"] = slices.DeleteFunc(users, func(user any) bool {
			return user.(map[string]any)["id"] == float64(id)
		})
	})
}

// NoMembers answers a group, or groups, as though nobody were in them.
func NoMembers() *faults.Fault {
	return &faults.Fault{Rewrite: func(b []byte) []byte {
		var body any
		if json.Unmarshal(b, &body) != nil {
			return b
		}
		dropMembers(body)
		out, _ := json.Marshal(body)
		return out
	}}
}

func dropMembers(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			dropMembers(item)
		}
	case map[string]any:
		if _, ok := v["members"]; ok {
			v["members"] = []any{}
		}
		for _, item := range v {
			dropMembers(item)
		}
	}
}

// PageInstead answers another page than the one asked for.
func PageInstead(page int) *faults.Fault {
	return &faults.Fault{Ask: func(r *http.Request) {
		q := r.URL.Query()
		q.Set("page", strconv.Itoa(page))
		r.URL.RawQuery = q.Encode()
	}}
}

// Unsorted ignores the order that a list is asked for in.
func Unsorted() *faults.Fault {
	return &faults.Fault{Ask: func(r *http.Request) {
		q := r.URL.Query()
		q.Del("sort")
		r.URL.RawQuery = q.Encode()
	}}
}
