package httpclient

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// told is an Observer that remembers what it was told.
type told struct {
	answers []int
	waits   []time.Duration
}

func (o *told) Answered(status int)   { o.answers = append(o.answers, status) }
func (o *told) Waits(d time.Duration) { o.waits = append(o.waits, d) }

func TestObserverIsToldOfEveryTryAndOfWaitsForABusyServer(t *testing.T) {
	t.Parallel()
	breaksOff := func() (*http.Response, error) {
		resp, err := answer(200, "")()
		resp.Body = io.NopCloser(errReader{})
		return resp, err
	}
	for name, test := range map[string]struct {
		tries   []func() (*http.Response, error)
		answers []int
		waits   []time.Duration
	}{
		"at once":               {[]func() (*http.Response, error){answer(200, "")}, []int{200}, nil},
		"refused":               {[]func() (*http.Response, error){answer(403, "")}, []int{403}, nil},
		"busy, then answered":   {[]func() (*http.Response, error){answer(429, "", "Retry-After", "7"), answer(200, "")}, []int{429, 200}, []time.Duration{7 * time.Second}},
		"busy for too long":     {[]func() (*http.Response, error){answer(503, "", "Retry-After", "700")}, []int{503}, nil},
		"no answer":             {[]func() (*http.Response, error){fails(io.ErrUnexpectedEOF), answer(200, "")}, []int{0, 200}, nil},
		"an answer breaks off":  {[]func() (*http.Response, error){breaksOff, answer(200, "")}, []int{200, 200}, nil},
		"a redirect to be read": {[]func() (*http.Response, error){answer(302, "", "Location", "/there"), answer(200, "")}, []int{302, 200}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var o told
				base := parse(t, "https://jamf.example.com")
				client := newClient(Config{Base: base, Observer: &o}.withDefaults(), &scripted{tries: test.tries})
				_, _ = client.Get(t.Context(), base, nil)
				if !slices.Equal(o.answers, test.answers) || !slices.Equal(o.waits, test.waits) {
					t.Errorf("got answers %v and waits %v, want %v and %v", o.answers, o.waits, test.answers, test.waits)
				}
			})
		})
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("it breaks off") }
