package truto

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func ask(t *testing.T, ctx context.Context, p *pacer, account, token string) func(*http.Response) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.truto.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	answered, err := p.pace(req, account)
	if err != nil {
		return nil
	}
	return answered
}

func answer(status int, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}}
	for i := 0; i+1 < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

// However long requests are on their way, no span of the server's, wherever it
// begins, sees more of them than the rate.
func TestNoSpanSeesMoreThanItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(rateSpan)
		var mu sync.Mutex
		arrived := map[string][]time.Time{}
		var all sync.WaitGroup
		for _, account := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
			for range 60 {
				all.Go(func() {
					for range 2 {
						answered := ask(t, t.Context(), p, account, "token")
						time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
						mu.Lock()
						arrived[account] = append(arrived[account], time.Now())
						arrived["token"] = append(arrived["token"], time.Now())
						mu.Unlock()
						time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
						answered(answer(200))
					}
				})
			}
		}
		all.Wait()
		for key, times := range arrived {
			limit := 50
			if key == "token" {
				limit = 500
			}
			slices.SortFunc(times, time.Time.Compare)
			for i := limit; i < len(times); i++ {
				if d := times[i].Sub(times[i-limit]); d < 10*time.Second {
					t.Fatalf("%s: %d requests within %v", key, limit+1, d)
				}
			}
		}
	})
}

// Others use the same token: what the server says to be left is kept to.
func TestRequestsKeepToWhatTheServerSaysIsLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []*http.Response
		account string // who asks next
		want    time.Duration
	}{
		"some left":           {[]*http.Response{answer(200, "ratelimit-limit", "50", "ratelimit-remaining", "2", "ratelimit-reset", "7")}, "a", 0},
		"none left":           {[]*http.Response{answer(200, "ratelimit-limit", "50", "ratelimit-remaining", "0", "ratelimit-reset", "7")}, "a", 7 * time.Second},
		"none left, overtook": {[]*http.Response{answer(200, "ratelimit-remaining", "0", "ratelimit-reset", "7"), answer(200, "ratelimit-remaining", "9", "ratelimit-reset", "7")}, "a", 7 * time.Second},
		"none left to a":      {[]*http.Response{answer(200, "ratelimit-limit", "50", "ratelimit-remaining", "0", "ratelimit-reset", "7")}, "b", 0},
		"none left to all":    {[]*http.Response{answer(200, "ratelimit-limit", "500", "ratelimit-remaining", "0", "ratelimit-reset", "7")}, "b", 7 * time.Second},
		"refused":             {[]*http.Response{answer(429, "Retry-After", "4")}, "a", 4 * time.Second},
		"refused, no hint":    {[]*http.Response{answer(429)}, "a", 10 * time.Second},
		"refused for long":    {[]*http.Response{answer(429, "Retry-After", "3600")}, "a", 10 * time.Second},
		"no sense":            {[]*http.Response{answer(200, "ratelimit-remaining", "-1", "ratelimit-reset", "x")}, "a", 0},
		"a reset too far":     {[]*http.Response{answer(200, "ratelimit-remaining", "0", "ratelimit-reset", "1764000000")}, "a", 0},
		"no answer":           {[]*http.Response{nil}, "a", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPacer(rateSpan)
				// All are sent before the first is answered.
				var answered []func(*http.Response)
				for range c.answers {
					answered = append(answered, ask(t, t.Context(), p, "a", "token"))
				}
				for i, resp := range c.answers {
					answered[i](resp)
				}
				before := time.Now()
				ask(t, t.Context(), p, c.account, "token")(nil)
				if waited := time.Since(before).Round(time.Millisecond); waited != c.want {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

// The hint is for whoever reads the answer: the span, in the whole seconds that
// a hint is given in, and never none.
func TestARefusalWithoutAHintGetsTheSpanAsOne(t *testing.T) {
	t.Parallel()
	for span, want := range map[time.Duration]string{rateSpan: "10", 30 * time.Second: "30", 1500 * time.Millisecond: "2", time.Millisecond: "1"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPacer(span)
			refused := answer(429)
			ask(t, t.Context(), p, "a", "token")(refused)
			if hint := refused.Header.Get("Retry-After"); hint != want {
				t.Errorf("within %v the hint is %q", span, hint)
			}
			before := time.Now()
			ask(t, t.Context(), p, "a", "token")
			if waited := time.Since(before); waited != span {
				t.Errorf("waited %v of %v", waited, span)
			}
		})
	}
}

// What is under way may not be counted in what the server says to be left.
func TestRequestsUnderWayUseUpWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(rateSpan)
		first, second := ask(t, t.Context(), p, "a", "token"), ask(t, t.Context(), p, "a", "token")
		left := func() *http.Response {
			return answer(200, "ratelimit-limit", "50", "ratelimit-remaining", "1", "ratelimit-reset", "7")
		}
		first(left())
		go func() {
			time.Sleep(time.Second)
			second(left())
		}()
		before := time.Now()
		ask(t, t.Context(), p, "a", "token")
		if waited := time.Since(before); waited != time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(rateSpan)
		for range perAccount {
			ask(t, t.Context(), p, "a", "token")
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("over"))
		defer cancel()
		if ask(t, ctx, p, "a", "token") != nil {
			t.Error("one more than the rate was let through")
		}
	})
}

func TestRatesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(rateSpan)
		for i := range 100 {
			ask(t, t.Context(), p, strconv.Itoa(i), "token"+strconv.Itoa(i))(answer(200))
			time.Sleep(rateSpan)
		}
		if n := len(p.rates); n > 4 {
			t.Errorf("%d rates are remembered", n)
		}
	})
}
