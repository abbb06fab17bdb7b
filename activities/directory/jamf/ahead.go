package jamf

import (
	"context"
	"sync"
)

// inOrder fetches n things, up to parallel at once, and yields them in order.
// No more than parallel are held at a time. It returns the first error, of
// fetch or yield, once nothing is running any more.
func inOrder[T any](ctx context.Context, n, parallel int, fetch func(context.Context, int) (T, error), yield func(T) error) error {
	type result struct {
		value T
		err   error
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	ahead := make(chan chan result, parallel-1)
	running.Go(func() {
		defer close(ahead)
		for i := range n {
			slot := make(chan result, 1)
			select {
			case ahead <- slot:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				value, err := fetch(ctx, i)
				slot <- result{value, err}
			})
		}
	})
	for slot := range ahead {
		r := <-slot
		if r.err != nil {
			return r.err
		}
		if err := yield(r.value); err != nil {
			return err
		}
	}
	return ctx.Err()
}
