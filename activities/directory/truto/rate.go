package truto

import (
	"context"
	"time"
)

// rate admits a limited number of requests in any span. A place is taken
// before a request is sent and comes free a span after it was answered. So
// any two requests that use the same place reach the server more than a span
// apart, however long they are under way and wherever the server's own spans
// begin. A token bucket would not do: its burst and what it refills meanwhile
// reach the server in one span.
type rate struct {
	limit int

	users    int         // that are waiting or under way
	underWay int         // places of requests not answered yet
	freed    []time.Time // when the places of answered requests come free
	changed  chan struct{}

	// remaining is what the server last said to be left until reset. It knows
	// of requests that do not come from here.
	remaining int
	reset     time.Time
}

// enter waits until there is a place in the rate of a key.
func (p *pacer) enter(ctx context.Context, key any, limit int) (*rate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rateOf(key, limit)
	r.users++
	for {
		if ctx.Err() != nil {
			r.users--
			return nil, ctx.Err()
		}
		until, full := r.full(time.Now())
		if !full {
			r.underWay++
			return r, nil
		}
		p.wait(ctx, r.changed, until)
	}
}

// wait gives p.mu up until something changed, or until a time unless it is
// zero.
func (p *pacer) wait(ctx context.Context, changed <-chan struct{}, until time.Time) {
	p.mu.Unlock()
	defer p.mu.Lock()
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-changed:
	case <-due:
	}
}

// full reports whether another request has to wait, and until when; a zero
// time means for an answer.
func (r *rate) full(now time.Time) (time.Time, bool) {
	for len(r.freed) > 0 && !now.Before(r.freed[0]) {
		r.freed = r.freed[1:]
	}
	switch {
	case now.Before(r.reset) && r.remaining <= r.underWay:
		// Those under way may not be counted in what remains.
		return r.reset, true
	case r.underWay+len(r.freed) < r.limit:
		return time.Time{}, false
	case len(r.freed) > 0:
		return r.freed[0], true
	}
	return time.Time{}, true
}

// leave gives a place back after a while.
func (p *pacer) leave(r *rate, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.users--
	r.underWay--
	if after > 0 {
		r.freed = append(r.freed, time.Now().Add(after))
	}
	r.wake()
}

// left notes what the server says to be left for the next seconds. Answers
// may overtake each other: of those about the same time the lowest holds.
func (p *pacer) left(r *rate, remaining int, seconds float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	reset := now.Add(time.Duration(seconds * float64(time.Second)))
	if now.Before(r.reset) && reset.Sub(r.reset) < p.span/2 {
		remaining = min(remaining, r.remaining)
		reset = later(reset, r.reset)
	}
	r.remaining, r.reset = remaining, reset
	r.wake()
}

func (r *rate) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// rateOf returns the rate of a key, and forgets those that nothing counts
// towards any more.
func (p *pacer) rateOf(key any, limit int) *rate {
	if r := p.rates[key]; r != nil {
		return r
	}
	now := time.Now()
	for other, r := range p.rates {
		if r.users == 0 && !now.Before(r.reset) && (len(r.freed) == 0 || !now.Before(r.freed[len(r.freed)-1])) {
			delete(p.rates, other)
		}
	}
	r := &rate{limit: limit, changed: make(chan struct{})}
	p.rates[key] = r
	return r
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
