package httpclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"jamf-access-review/activities/directory"
)

// exchange is one request and all its tries.
type exchange struct {
	client     *Client
	url        string
	repeatable bool
	body       []byte
	// busySince is when the server first answered that it is busy.
	busySince time.Time
}

func (e *exchange) checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return e.repeatable && passing(err), nil
	case !slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode):
		return false, nil
	}
	if e.busySince.IsZero() {
		e.busySince = time.Now()
	}
	if waitHint(resp.Header, time.Now()) > e.client.cfg.MaxWait {
		return false, errTooLong
	}
	return e.repeatable, nil
}

func (e *exchange) backoff(minWait, maxWait time.Duration, try int, resp *http.Response) time.Duration {
	wait := min(retryablehttp.LinearJitterBackoff(minWait, maxWait, try, nil), e.client.cfg.MaxWait)
	if resp == nil {
		return wait
	}
	if hint := waitHint(resp.Header, time.Now()); hint > 0 {
		wait = hint
	}
	if slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode) {
		e.client.cfg.Observer.Waits(wait)
	}
	return wait
}

// readBody is part of a try, so that a body that breaks off is asked for
// again.
func (e *exchange) readBody(resp *http.Response) error {
	if slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode) {
		return nil
	}
	defer resp.Body.Close()
	limit := e.client.cfg.MaxBody
	if resp.ContentLength > limit {
		return errTooLarge
	}
	var buf bytes.Buffer
	buf.Grow(int(max(resp.ContentLength, 0)) + bytes.MinRead)
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return &bodyError{err}
	}
	if int64(buf.Len()) > limit {
		return errTooLarge
	}
	e.body = buf.Bytes()
	return nil
}

func (e *exchange) outcome(ctx context.Context, resp *http.Response, err error) (*Response, error) {
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.Is(err, errTooLong):
		return nil, e.explain(err)
	case slices.Contains(e.client.cfg.RetryStatuses, resp.StatusCode):
		busy := directory.Errorf(directory.Busy, "%s answered HTTP %d", e.url, resp.StatusCode)
		busy.RetryAfter = waitHint(resp.Header, time.Now())
		busy.Waited = time.Since(e.busySince)
		return nil, busy
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: e.body, URL: e.url}, nil
}
