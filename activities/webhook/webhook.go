// Package webhook sends messages to whoever wants to be told: signed by the
// scheme of Standard Webhooks, one attempt at a time, and told to be delivered
// only when the answer says so.
package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
)

const (
	// timeout bounds one attempt, from its first byte to the end of the answer.
	timeout = 10 * time.Second
	// maxBody is far more than any receiver has to say.
	maxBody = 64 << 10
	// perServer is how many messages are on their way to a server at once.
	perServer = 5
)

// ErrBusy is returned for a message that was not sent, because as many as may
// be are on their way to its server. It does not wait: a server that hangs
// would have more and more wait for it, until they hold up everything else.
var ErrBusy = errors.New("other messages are on their way to this server")

// ParseURL reads the address of a webhook. It is on https, or on http for
// loopback.
func ParseURL(raw string) (*url.URL, error) {
	return httpclient.Address{Name: "the webhook's URL", Example: "https://hooks.example.com/services/…"}.ParseWhole(raw)
}

const (
	secretPrefix = "whsec_"
	// Standard Webhooks wants a secret to have from 24 to 64 bytes.
	minSecret, newSecret, maxSecret = 24, 32, 64
)

// NewSecret makes a secret to sign with.
func NewSecret() string {
	key := make([]byte, newSecret)
	rand.Read(key)
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// CheckSecret returns an error in words, without the secret, for one that is
// not of the form that libraries for receivers read.
func CheckSecret(secret string) error {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret {
		return fmt.Errorf("the signing secret is not %s and the base64 of %d to %d bytes", secretPrefix, minSecret, maxSecret)
	}
	return nil
}

// Message is what is sent.
type Message struct {
	URL    string
	Secret string
	// ID is the same whenever the message is sent again.
	ID   string
	Body []byte // JSON
}

// Error says why a message was not delivered, or not for sure. Its text holds
// nothing of the address but the server, and nothing of what was answered but
// its status and type.
type Error struct {
	Message string
	// RetryAfter is how long the receiver asked to be left alone; 0 when it
	// did not say.
	RetryAfter time.Duration
	// Gone says that the receiver wants no more.
	Gone bool
}

func (e *Error) Error() string { return e.Message }

// Sender sends messages. It is safe for concurrent use.
type Sender struct {
	http httpclient.Config

	mu       sync.Mutex
	underWay map[string]int // by server
}

// NewSender returns a Sender that sends as http says. What a receiver could
// abuse is set by itself: redirects are not followed, answers are small and
// come soon, and addresses that no receiver has are not connected to.
func NewSender(http httpclient.Config) *Sender {
	if http.Timeout == 0 {
		http.Timeout = timeout
	}
	http.MaxTries, http.MaxBody = 1, maxBody
	http.GuardAddresses, http.NoRedirects, http.HidePaths = true, true, true
	return &Sender{http: http, underWay: map[string]int{}}
}

// enter counts a message to a server, until it has left.
func (s *Sender) enter(server string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underWay[server] == perServer {
		return nil, false
	}
	s.underWay[server]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.underWay[server]--; s.underWay[server] == 0 {
			delete(s.underWay, server)
		}
	}, true
}

// Send makes one attempt. It is delivered when the answer is a whole, small
// one of the 200s that is no web page: what answers with a page is a proxy or
// a login, not the receiver. Every error is an *Error, ErrBusy or the context's.
func (s *Sender) Send(ctx context.Context, m Message) error {
	u, err := ParseURL(m.URL)
	if err != nil {
		return &Error{Message: err.Error()}
	}
	header, err := sign(m, time.Now())
	if err != nil {
		return &Error{Message: err.Error()}
	}
	leave, ok := s.enter(httpclient.Server(u))
	if !ok {
		return ErrBusy
	}
	defer leave()
	cfg := s.http
	cfg.Base = u
	client := httpclient.New(cfg)
	defer client.Close()
	resp, err := client.Do(ctx, httpclient.Request{Method: http.MethodPost, URL: u, Header: header, Body: m.Body})
	if e := directory.AsError(err); e != nil {
		return &Error{Message: e.Message, RetryAfter: e.RetryAfter}
	}
	if err != nil {
		return err
	}
	return judge(resp)
}

func judge(resp *httpclient.Response) error {
	switch {
	case resp.Status == http.StatusGone:
		return &Error{Message: resp.URL + " answered HTTP 410: it wants no more", Gone: true}
	case resp.Status/100 == 3:
		return &Error{Message: fmt.Sprintf("%s answered HTTP %d: it redirects, which is not followed", resp.URL, resp.Status)}
	case resp.Status/100 != 2:
		return &Error{Message: resp.URL + " answered " + resp.Describe()}
	case isPage(resp.Body):
		return &Error{Message: fmt.Sprintf("%s answered HTTP %d with a web page, as a proxy or a login does", resp.URL, resp.Status)}
	}
	return nil
}

// isPage looks at what is there, not at its declared type: Slack calls its
// plain "ok" HTML.
func isPage(body []byte) bool {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	return strings.HasPrefix(http.DetectContentType(body), "text/html")
}

func sign(m Message, now time.Time) (http.Header, error) {
	signer, err := standardwebhooks.NewWebhook(m.Secret)
	if err != nil {
		return nil, errors.New("the signing secret cannot be read") // the cause quotes it
	}
	signature, err := signer.Sign(m.ID, now, m.Body)
	if err != nil {
		return nil, errors.New("the message cannot be signed")
	}
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(standardwebhooks.HeaderWebhookID, m.ID)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return header, nil
}
