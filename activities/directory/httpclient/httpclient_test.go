package httpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jamf-access-review/activities/directory"
)

// serve starts a server and returns a client for it that waits little.
func serve(t *testing.T, h http.HandlerFunc, change ...func(*Config)) (*Client, *url.URL) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	base := parse(t, server.URL)
	cfg := Config{Base: base, MinWait: time.Millisecond, MaxWait: 5 * time.Second, Timeout: 5 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	client := New(cfg)
	t.Cleanup(client.Close)
	return client, base
}

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func wantCode(t *testing.T, err error, code directory.Code) *directory.Error {
	t.Helper()
	e := directory.AsError(err)
	if e == nil || e.Code != code {
		t.Fatalf("got error %v, want one with code %s", err, code)
	}
	return e
}

// scripted answers tries one after another, without a network.
type scripted struct {
	tries   []func() (*http.Response, error)
	methods []string
	at      []time.Time
}

func (s *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	try := s.tries[min(len(s.at), len(s.tries)-1)]
	s.at, s.methods = append(s.at, time.Now()), append(s.methods, req.Method)
	resp, err := try()
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

func answer(status int, body string, headers ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
		for i := 0; i < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

func fails(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

func TestRetriesWaitAsLongAsTheServerAsks(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func(time.Time) []string{
		"seconds": func(time.Time) []string { return []string{"Retry-After", "7"} },
		"date": func(now time.Time) []string {
			return []string{"Retry-After", now.Add(7 * time.Second).UTC().Format(http.TimeFormat)}
		},
		"rate limit": func(now time.Time) []string {
			return []string{"X-RateLimit-Reset", strconv.FormatInt(now.Add(7*time.Second).Unix(), 10)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				script := &scripted{tries: []func() (*http.Response, error){
					answer(503, "", header(time.Now())...), answer(200, "ok"),
				}}
				base := parse(t, "https://jamf.example.com")
				client := newClient(Config{Base: base}.withDefaults(), script)
				resp, err := client.Get(t.Context(), base, nil)
				if err != nil || string(resp.Body) != "ok" {
					t.Fatal(resp, err)
				}
				if waited := script.at[1].Sub(script.at[0]); waited != 7*time.Second {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

func TestRetriesWithoutAHintWaitLongerEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		script := &scripted{tries: []func() (*http.Response, error){fails(io.ErrUnexpectedEOF)}}
		base := parse(t, "https://jamf.example.com")
		client := newClient(Config{Base: base, MaxTries: 4}.withDefaults(), script)
		_, err := client.Get(t.Context(), base, nil)
		wantCode(t, err, directory.Unreachable)
		if len(script.at) != 4 || client.Requests() != 4 {
			t.Fatalf("%d tries, %d requests", len(script.at), client.Requests())
		}
		for i, low := range []time.Duration{500 * time.Millisecond, time.Second, 1500 * time.Millisecond} {
			if waited := script.at[i+1].Sub(script.at[i]); waited < low || waited > 2*low {
				t.Errorf("wait %d took %v", i, waited)
			}
		}
	})
}

func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request Request
		try     func() (*http.Response, error)
		tries   int
	}{
		"408":                      {Request{}, answer(408, ""), 3},
		"425":                      {Request{}, answer(425, ""), 3},
		"429":                      {Request{}, answer(429, ""), 3},
		"500":                      {Request{}, answer(500, ""), 3},
		"502":                      {Request{}, answer(502, ""), 3},
		"503":                      {Request{}, answer(503, ""), 3},
		"504":                      {Request{}, answer(504, ""), 3},
		"a reset":                  {Request{}, fails(net.ErrClosed), 3},
		"401":                      {Request{}, answer(401, ""), 1},
		"501":                      {Request{}, answer(501, ""), 1},
		"longer than the wait":     {Request{}, answer(429, "", "Retry-After", "21"), 1},
		"host not found":           {Request{}, fails(&net.DNSError{IsNotFound: true}), 1},
		"a post":                   {Request{Method: "POST"}, answer(503, ""), 1},
		"a post that may be":       {Request{Method: "POST", Repeatable: true}, answer(503, ""), 3},
		"a reset post":             {Request{Method: "POST"}, fails(net.ErrClosed), 1},
		"a reset post that may be": {Request{Method: "POST", Repeatable: true}, fails(net.ErrClosed), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				script := &scripted{tries: []func() (*http.Response, error){c.try}}
				base := parse(t, "https://jamf.example.com")
				c.request.URL = base
				_, _ = newClient(Config{Base: base}.withDefaults(), script).Do(t.Context(), c.request)
				if len(script.at) != c.tries {
					t.Errorf("%d tries, want %d", len(script.at), c.tries)
				}
			})
		})
	}
}

func TestBusySaysHowLongItWasWaitedFor(t *testing.T) {
	t.Parallel()
	client, base := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	before := time.Now()
	_, err := client.Get(t.Context(), base.JoinPath("a"), nil)
	if e := wantCode(t, err, directory.Busy); e.Waited <= 0 || e.Waited > time.Since(before) {
		t.Errorf("waited %v of %v", e.Waited, time.Since(before))
	}
}

func TestBusyCarriesTheHint(t *testing.T) {
	t.Parallel()
	client, base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, "do not repeat me")
	})
	_, err := client.Get(t.Context(), base.JoinPath("a"), nil)
	e := wantCode(t, err, directory.Busy)
	if e.RetryAfter != 90*time.Second || client.Requests() != 1 {
		t.Errorf("retry after %v, %d requests", e.RetryAfter, client.Requests())
	}
	if want := fmt.Sprintf("busy: %s/a answered HTTP 429", base); e.Error() != want {
		t.Errorf("error %q, want %q", e, want)
	}
}

func TestPostsAreSentAgainWhole(t *testing.T) {
	t.Parallel()
	var bodies []string
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Header.Get("Content-Type")+" "+string(b))
		if len(bodies) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	resp, err := (&http.Client{Transport: client.RoundTripper()}).Post(base.String(), "text/x", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := strings.Join(bodies, ","); got != "text/x body,text/x body,text/x body" {
		t.Errorf("sent %s", got)
	}
}

func TestBodyThatBreaksOffIsAskedForAgain(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	broken := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
	}
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 || r.URL.Path == "/always" {
			broken(w)
			return
		}
		io.WriteString(w, "whole")
	})
	resp, err := client.Get(t.Context(), base, nil)
	if err != nil || string(resp.Body) != "whole" {
		t.Errorf("got %v, %v", resp, err)
	}
	_, err = client.Get(t.Context(), base.JoinPath("always"), nil)
	wantCode(t, err, directory.Inconsistent)
	if n := tries.Load(); n != 5 {
		t.Errorf("%d tries", n)
	}
}

func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	for name, announce := range map[string]bool{"announced": true, "not announced": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				n, _ := strconv.Atoi(r.URL.Query().Get("n"))
				if announce {
					w.Header().Set("Content-Length", strconv.Itoa(n))
				} else {
					w.(http.Flusher).Flush()
				}
				io.WriteString(w, strings.Repeat("x", n))
			}, func(c *Config) { c.MaxBody = 1000 })
			ask := func(n string) (*Response, error) {
				u := *base
				u.RawQuery = "n=" + n
				return client.Get(t.Context(), &u, nil)
			}
			if resp, err := ask("1000"); err != nil || len(resp.Body) != 1000 {
				t.Errorf("1000 bytes: %v", err)
			}
			_, err := ask("1001")
			if e := wantCode(t, err, directory.Inconsistent); strings.Contains(e.Error(), "n=") {
				t.Errorf("error %q holds the query", e)
			}
		})
	}
}

func TestBodyThatNeverEndsTimesOut(t *testing.T) {
	t.Parallel()
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, func(c *Config) { c.Timeout = 20 * time.Millisecond })
	_, err := client.Get(t.Context(), base, nil)
	if e := wantCode(t, err, directory.Unreachable); !strings.Contains(e.Message, "no answer in time") || client.Requests() != 3 {
		t.Errorf("%v after %d requests", e, client.Requests())
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/here":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/there":
			io.WriteString(w, r.Header.Get("Authorization"))
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default:
			http.Redirect(w, r, other.URL+"/?secret=1", http.StatusTemporaryRedirect)
		}
	})
	header := http.Header{"Authorization": {"Bearer x"}}
	resp, err := client.Get(t.Context(), base.JoinPath("here"), header)
	if err != nil || string(resp.Body) != "Bearer x" {
		t.Errorf("on the same server: %v, %v", resp, err)
	}
	_, err = client.Get(t.Context(), base.JoinPath("away"), header)
	e := wantCode(t, err, directory.Unreachable)
	if !strings.Contains(e.Message, other.URL) || strings.Contains(e.Message, "secret") || elsewhere.Load() != 0 {
		t.Errorf("%v, %d requests elsewhere", e, elsewhere.Load())
	}
	before := client.Requests()
	_, err = client.Get(t.Context(), base.JoinPath("loop"), header)
	wantCode(t, err, directory.Unreachable)
	if n := client.Requests() - before; n != 1+maxRedirects {
		t.Errorf("%d requests in a loop", n)
	}
	_, err = client.Get(t.Context(), parse(t, other.URL), header)
	wantCode(t, err, directory.Unreachable)
	if elsewhere.Load() != 0 {
		t.Error("another server was asked")
	}
}

func TestNoCookiesAreKept(t *testing.T) {
	t.Parallel()
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "node", Value: "1"})
		fmt.Fprintf(w, "%d %s", len(r.Cookies()), r.UserAgent())
	})
	for range 2 {
		resp, err := client.Get(t.Context(), base, nil)
		if err != nil || string(resp.Body) != "0 jamf-access-review" {
			t.Errorf("got %s, %v", resp.Body, err)
		}
	}
}

func TestUnreachableSaysWhy(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(conn, "hello\n")
		conn.Close()
	}))
	t.Cleanup(garbage.Close)
	for name, c := range map[string]struct{ url, says string }{
		"closed port":       {"http://" + closed, "connection refused"},
		"no such host":      {"https://jamf.invalid", "host"},
		"unknown authority": {secure.URL, "unknown authority"},
		"no TLS":            {strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
		"no HTTP":           {garbage.URL, "not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := parse(t, c.url)
			client := New(Config{Base: base, MinWait: time.Millisecond})
			defer client.Close()
			asked := base.JoinPath("path")
			asked.RawQuery = "secret=1"
			_, err := client.Get(t.Context(), asked, nil)
			e := wantCode(t, err, directory.Unreachable)
			if !strings.Contains(e.Message, c.says) || !strings.Contains(e.Message, c.url+"/path") || strings.Contains(e.Message, "secret") {
				t.Errorf("error %q, want one that says %q", e, c.says)
			}
		})
	}
}

func TestContextEndsARequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	client, base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := client.Get(ctx, base, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := client.Get(ctx, base, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLimiterBoundsAllClientsOfAServer(t *testing.T) {
	t.Parallel()
	const limit, clients, each = 2, 4, 10
	var now, highest atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		defer now.Add(-1)
		io.WriteString(w, "x")
	}))
	t.Cleanup(server.Close)
	base := parse(t, server.URL)
	limiter := NewLimiter(limit)
	var all sync.WaitGroup
	for range clients {
		client := New(Config{Base: base, Limiter: limiter})
		t.Cleanup(client.Close)
		for range each {
			all.Go(func() {
				if _, err := client.Get(t.Context(), base, nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if h := highest.Load(); h > limit {
		t.Errorf("%d requests at once", h)
	}
	if n := len(limiter.hosts); n != 0 {
		t.Errorf("%d servers are remembered", n)
	}
}

func TestLimiterLetsFewerInWhileAServerIsBusy(t *testing.T) {
	t.Parallel()
	h := NewLimiter(5).hold("server")
	fits := func() int {
		n := 0
		for h.sem.TryAcquire(h.weight) {
			n++
		}
		h.sem.Release(int64(n) * h.weight)
		return n
	}
	for i, step := range []struct {
		busy bool
		want int
	}{{false, 5}, {true, 2}, {true, 1}, {true, 1}, {false, 1}, {false, 1}, {false, 2}, {false, 5}, {false, 5}} {
		h.answered(step.busy)
		if got := fits(); got != step.want {
			t.Errorf("step %d: %d fit, want %d", i, got, step.want)
		}
	}
}

func TestGuardedAddresses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	base := parse(t, server.URL)

	local := New(Config{Base: base, GuardAddresses: true})
	t.Cleanup(local.Close)
	if _, err := local.Get(t.Context(), base, nil); err != nil {
		t.Errorf("a server on loopback is refused: %v", err)
	}

	// A name that leads to loopback is caught once it was looked up.
	dial := dialer(Config{Base: parse(t, "https://jamf.example.com"), GuardAddresses: true})
	var refused *addressError
	for _, address := range []string{base.Host, "169.254.169.254:80", "[fe80::1]:80", "[::ffff:127.0.0.1]:80", "224.0.0.1:80", "100.100.100.200:80"} {
		if _, err := dial(t.Context(), "tcp", address); !errors.As(err, &refused) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{
		"8.8.8.8": true, "10.0.0.1": true, "192.168.1.1": true, "172.16.0.1": true, "fd12::1": true, "127.0.0.1": true, "::1": true, "2001:db8::1": true,
		"169.254.1.1": false, "fe80::1": false, "fe80::1%eth0": false, "0.0.0.0": false, "0.1.2.3": false, "::": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "168.63.129.16": false, "fd00:ec2::254": false,
		"::ffff:169.254.1.1": false, "64:ff9b::a9fe:a9fe": false,
	} {
		if err := CheckAddress(netip.MustParseAddr(addr)); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestResponseKnowsMarkup(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{"<html>": true, " \n<p>": true, "\ufeff<p>": true, "{}": false, "": false, "a<b": false} {
		if got := (&Response{Body: []byte(body)}).IsHTML(); got != want {
			t.Errorf("%q is markup: %v", body, got)
		}
	}
	r := &Response{Status: 200, Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
	if got := r.Describe(); got != "HTTP 200 application/json" {
		t.Errorf("described as %q", got)
	}
}

func FuzzWaitHint(f *testing.F) {
	for _, v := range []string{"5", "-1", "99999999999999999999", "Mon, 23 Nov 2026 12:00:00 GMT", "1.5", ""} {
		f.Add(v, v)
	}
	now := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, retryAfter, reset string) {
		wait := waitHint(http.Header{"Retry-After": {retryAfter}, "X-Ratelimit-Reset": {reset}}, now)
		if wait < 0 || wait > maxHint {
			t.Errorf("%q and %q ask for %v", retryAfter, reset, wait)
		}
	})
}

func TestARedirectIsAnAnswerWhereNoneIsFollowed(t *testing.T) {
	t.Parallel()
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/there", http.StatusFound)
	}, func(c *Config) { c.NoRedirects = true })
	resp, err := client.Do(t.Context(), Request{Method: http.MethodPost, URL: base})
	if err != nil || resp.Status != http.StatusFound || client.Requests() != 1 {
		t.Errorf("%v, %v, %d requests", resp, err, client.Requests())
	}
}

func TestPathsThatAreSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	client, base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/secret/busy" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}, func(c *Config) { c.HidePaths, c.MaxTries = true, 1 })
	resp, err := client.Get(t.Context(), base.JoinPath("secret"), nil)
	if err != nil || resp.URL != base.String() {
		t.Errorf("%v, %v", resp, err)
	}
	_, err = client.Get(t.Context(), base.JoinPath("secret", "busy"), nil)
	if e := wantCode(t, err, directory.Busy); strings.Contains(e.Message, "secret") || !strings.Contains(e.Message, base.Host) {
		t.Error(e)
	}
}
