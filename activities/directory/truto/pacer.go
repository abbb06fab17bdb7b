package truto

import (
	"crypto/sha256"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Truto's rates, and the span that they are for.
const (
	perAccount = 50
	perToken   = 500
	rateSpan   = 10 * time.Second
)

// pacer holds requests back so that Truto never has to: within the rate of
// their integrated account, and of their API token, which all accounts of an
// environment share. It keeps no token, and remembers a rate only while
// something counts towards it.
type pacer struct {
	span time.Duration

	mu    sync.Mutex
	rates map[any]*rate // guarded by mu, as everything in a rate
}

func newPacer(span time.Duration) *pacer {
	return &pacer{span: span, rates: map[any]*rate{}}
}

type (
	accountKey string
	tokenKey   [sha256.Size]byte
)

// pace implements httpclient.Config.Pace for one integrated account.
func (p *pacer) pace(req *http.Request, account string) (func(*http.Response), error) {
	ctx := req.Context()
	ofAccount, err := p.enter(ctx, accountKey(account), perAccount)
	if err != nil {
		return nil, err
	}
	ofToken, err := p.enter(ctx, tokenKey(sha256.Sum256([]byte(req.Header.Get("Authorization")))), perToken)
	if err != nil {
		p.leave(ofAccount, 0)
		return nil, err
	}
	return func(resp *http.Response) { p.answered(resp, ofAccount, ofToken) }, nil
}

// answered gives both places back and takes the answer's word for what is
// left of the rate that it speaks of.
func (p *pacer) answered(resp *http.Response, ofAccount, ofToken *rate) {
	if resp != nil {
		said := ofAccount
		if limit, ok := number(resp.Header, "ratelimit-limit"); ok && limit > perAccount {
			said = ofToken
		}
		p.hear(said, resp)
	}
	p.leave(ofAccount, p.span)
	p.leave(ofToken, p.span)
}

// hear notes what an answer says of a rate. A refusal that does not say for
// how long gets the span as its hint, for all that read the answer.
func (p *pacer) hear(r *rate, resp *http.Response) {
	if resp.StatusCode == http.StatusTooManyRequests {
		if resp.Header.Get("Retry-After") == "" {
			resp.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.span.Seconds()))))
		}
		// A longer wait is the caller's to keep: it knows what else to do.
		wait, ok := number(resp.Header, "Retry-After")
		if !ok || wait > p.span.Seconds() {
			wait = p.span.Seconds()
		}
		p.left(r, 0, wait)
		return
	}
	remaining, known := number(resp.Header, "ratelimit-remaining")
	reset, alsoKnown := number(resp.Header, "ratelimit-reset")
	if known && alsoKnown && reset <= p.span.Seconds() {
		p.left(r, int(remaining), reset)
	}
}

// number reads a header that is a number of things or of seconds.
func number(h http.Header, name string) (float64, bool) {
	n, err := strconv.ParseFloat(h.Get(name), 64)
	return n, err == nil && n >= 0 && n < 1e6
}
