package httpclient

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"jamf-access-review/activities/directory"
)

func TestEachTryWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answers []int
		pace := func(*http.Request) (func(*http.Response), error) {
			time.Sleep(time.Minute)
			return func(resp *http.Response) {
				if resp == nil {
					answers = append(answers, 0)
					return
				}
				answers = append(answers, resp.StatusCode)
				resp.Header.Set("Retry-After", "7")
			}, nil
		}
		script := &scripted{tries: []func() (*http.Response, error){fails(net.ErrClosed), answer(429, ""), answer(200, "ok")}}
		base := parse(t, "https://jamf.example.com")
		client := newClient(Config{Base: base, Pace: pace, Timeout: time.Second}.withDefaults(), script)
		if _, err := client.Get(t.Context(), base, nil); err != nil {
			t.Fatal(err)
		}
		if len(answers) != 3 || answers[0] != 0 || answers[1] != 429 || answers[2] != 200 {
			t.Errorf("told of %v", answers)
		}
		if waited := script.at[2].Sub(script.at[1]); waited != time.Minute+7*time.Second {
			t.Errorf("waited %v where a hint was added", waited)
		}
	})
}

func TestNothingIsSentOutOfTurn(t *testing.T) {
	t.Parallel()
	script := &scripted{tries: []func() (*http.Response, error){answer(200, "")}}
	base := parse(t, "https://jamf.example.com")
	pace := func(*http.Request) (func(*http.Response), error) { return nil, errors.New("no turn") }
	client := newClient(Config{Base: base, Pace: pace, MaxTries: 1}.withDefaults(), script)
	_, err := client.Get(t.Context(), base, nil)
	wantCode(t, err, directory.Unreachable)
	if len(script.at) != 0 || client.Requests() != 0 {
		t.Errorf("%d requests", client.Requests())
	}
}
