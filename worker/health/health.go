// Package health is how a worker says over HTTP whether it lives, and whether
// it can work.
package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// askTimeout is how long a part has to answer.
const askTimeout = 2 * time.Second

var (
	errStarting = errors.New("it is starting")
	errStopping = errors.New("it is stopping")
)

// Health is the health of one worker: its own, and that of the parts it cannot
// do without. It is safe for concurrent use.
type Health struct {
	mu     sync.Mutex
	worker error // nil while it polls
	failed error
	parts  []part
}

type part struct {
	name string
	ask  func(context.Context) error
}

// New returns the health of a worker that is starting.
func New() *Health { return &Health{worker: errStarting} }

// AddPart adds a part that the worker cannot do without, and how to ask whether
// it answers.
func (h *Health) AddPart(name string, ask func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parts = append(h.parts, part{name, ask})
}

// SetReady says that the worker takes work.
func (h *Health) SetReady() { h.becomes(nil) }

// SetStopping says that the worker takes no more work.
func (h *Health) SetStopping() { h.becomes(errStopping) }

func (h *Health) becomes(state error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.worker = state
}

// SetFailed says that the worker cannot go on.
func (h *Health) SetFailed(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.worker, h.failed = why, why
}

// Part is how a part of a worker is; Err is nil where it is well.
type Part struct {
	Name string
	Err  error
}

// Check asks the worker and all its parts, at once, how they are.
func (h *Health) Check(ctx context.Context) []Part {
	h.mu.Lock()
	answers, parts := []Part{{"worker", h.worker}}, h.parts
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answers = append(answers, make([]Part, len(parts))...)
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() { answers[i+1] = Part{p.name, p.ask(ctx)} })
	}
	all.Wait()
	return answers
}

// Register adds /livez, which fails once the worker has failed, and /readyz,
// which fails unless the worker polls and all its parts answer. The body of
// each names what fails.
func (h *Health) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		h.mu.Lock()
		failed := h.failed
		h.mu.Unlock()
		answer(w, []Part{{"worker", failed}})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		answer(w, h.Check(r.Context()))
	})
}

func answer(w http.ResponseWriter, parts []Part) {
	var body strings.Builder
	status := http.StatusOK
	for _, p := range parts {
		if p.Err != nil {
			status = http.StatusServiceUnavailable
			fmt.Fprintf(&body, "%s: failing: %v\n", p.Name, p.Err)
		} else {
			fmt.Fprintf(&body, "%s: ok\n", p.Name)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// Who asked has gone where this fails.
	_, _ = io.WriteString(w, body.String())
}

// Probe asks the worker that listens at an address whether it is ready. The
// error says why it is not.
func Probe(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	return fmt.Errorf("the worker at %s is not ready:\n%s", address, body)
}
