package truto_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/faults"
	"jamf-access-review/activities/directory/truto/trutotest"
)

// span is a hundredth of Truto's, so that a run at its rates is short.
const span = 100 * time.Millisecond

func TestAReadAtTheRateLimitIsNeverRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, trutotest.Config{Span: span}).everyone()
	b.server.Demo(220)
	b.server.SetQuirks(trutotest.Quirks{NamesOnly: true})
	equal(t, len(mustRead(t, b.source(t)).users), 220)
	equal(t, b.server.Answered(http.StatusTooManyRequests), 0)
}

func TestConnectionsShareTheRateOfTheirToken(t *testing.T) {
	t.Parallel()
	// The token's rate is what 14 accounts of 50 reach first.
	b := setup(t, trutotest.Config{Span: span}).everyone()
	var reading sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"} {
		account := b.server.AddAccount(id)
		account.Demo(60)
		account.SetQuirks(trutotest.Quirks{NamesOnly: true})
		settings := b.settings
		settings.Account = id
		source, err := b.provider.Open(settings, b.tokens)
		if err != nil {
			t.Fatal(err)
		}
		reading.Go(func() {
			users := 0
			err := source.Read(t.Context(), "", func(p directory.Page) error {
				users += len(p.Users)
				return nil
			})
			if err != nil || users != 60 {
				t.Errorf("%s: %d users, %v", id, users, err)
			}
		})
	}
	reading.Wait()
	equal(t, b.server.Answered(http.StatusTooManyRequests), 0)
}

func TestARefusalForItsRateSaysHowLongToWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault *faults.Fault
		want  time.Duration
	}{
		"as it says":         {faults.Busy(429, 42), 42 * time.Second},
		"where it is silent": {trutotest.Remote(429), 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := unlimited()
			cfg.Span = 10 * time.Second
			b := setup(t, cfg)
			b.server.SetFault(trutotest.OnList(c.fault))
			_, err := read(t, b.source(t), "")
			if e := wantCode(t, err, directory.Busy); e.RetryAfter != c.want {
				t.Errorf("retry after %v", e.RetryAfter)
			}
			equal(t, b.server.Requests()[trutotest.UsersPath], 1)
		})
	}
}
