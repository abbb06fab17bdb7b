package httpclient

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jamf-access-review/activities/directory"
)

func TestLookSeesTheClockAndFollowsNothing(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.Header().Set("Date", clock.Format(http.TimeFormat))
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	sight, err := Look(t.Context(), parse(t, server.URL+"/jamf"))
	if err != nil {
		t.Fatal(err)
	}
	if !sight.Clock.Equal(clock) || sight.Certificate != nil {
		t.Errorf("saw %v and %v", sight.Clock, sight.Certificate)
	}
	if len(asked) != 1 || asked[0] != "HEAD /jamf/" {
		t.Errorf("asked %q", asked)
	}
}

func TestLookReturnsTheCertificateThatItRefuses(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	sight, err := Look(t.Context(), parse(t, server.URL))
	wantCode(t, err, directory.Unreachable)
	if sight.Certificate == nil || !sight.Certificate.Equal(server.Certificate()) {
		t.Error("it is not the server's certificate")
	}
	server.Close()
	sight, err = Look(t.Context(), parse(t, server.URL))
	if e := wantCode(t, err, directory.Unreachable); !strings.Contains(e.Message, "connection refused") || sight.Certificate != nil {
		t.Errorf("%s, %v", e.Message, sight.Certificate)
	}
}

func TestResolveReturnsWhatMayBeConnectedTo(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://127.0.0.1:8080":         "127.0.0.1",
		"https://192.0.2.1":             "192.0.2.1",
		"https://[::ffff:192.0.2.1]":    "192.0.2.1",
		"https://169.254.169.254":       "",
		"https://[fe80::1]":             "",
		"https://no-such-host.invalid/": "",
	} {
		found, err := Resolve(t.Context(), parse(t, address))
		if want == "" {
			wantCode(t, err, directory.Unreachable)
			continue
		}
		if err != nil || len(found) != 1 || found[0].String() != want {
			t.Errorf("%s: %v, %v", address, found, err)
		}
	}
}
