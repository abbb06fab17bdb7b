package activities

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"jamf-access-review/db"
)

const (
	// HeartbeatTimeout is how soon a dead worker is noticed; activities that
	// may take longer say several times as often that they are alive.
	HeartbeatTimeout = 20 * time.Second
	// heartbeatInterval is short for whoever looks on, and longer than most
	// activities take. Of what is said so often, the SDK sends what is due.
	heartbeatInterval = time.Second
)

// errWorkerStops is the cause of work that ends because its worker does.
var errWorkerStops = errors.New("the worker is stopping")

// Progress is what activities say with their heartbeats. An attempt knows the
// last of those before it.
type Progress struct {
	// What FetchUsers has read.
	Pages    int `json:"pages"`
	Users    int `json:"users"`
	Requests int `json:"requests"`
	// Trouble is how the source has failed; FetchUsers keeps it in the record
	// instead.
	Trouble db.Trouble `json:"trouble,omitzero"`
}

// lastHeartbeat is what the attempts before this one said last.
func lastHeartbeat(ctx context.Context) Progress {
	var p Progress
	if !activity.HasHeartbeatDetails(ctx) || activity.GetHeartbeatDetails(ctx, &p) != nil {
		return Progress{} // of a version that says something else
	}
	return p
}

// withHeartbeat does the work of an activity that may take long: a source can keep it
// waiting, and a snapshot can be large. Meanwhile it says in short intervals
// that the worker lives, with the progress last reported. When the worker is
// about to stop the work is cancelled, and another worker goes on at once.
func withHeartbeat[T any](ctx context.Context, work func(ctx context.Context, report func(Progress)) (T, error)) (T, error) {
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // also where work panics
	var last atomic.Pointer[Progress]
	if p := lastHeartbeat(ctx); p != (Progress{}) {
		last.Store(&p)
	}
	if !activity.GetInfo(ctx).IsLocalActivity { // nobody waits for the heartbeats of one, nor would go on with it
		go beat(running, cancel, &last)
	}
	result, err := work(running, func(p Progress) { last.Store(&p) })
	stops := errors.Is(context.Cause(running), errWorkerStops)
	cancel(nil) // no heartbeat comes after what failure says
	if err != nil && stops {
		return result, temporal.NewApplicationErrorWithOptions(errWorkerStops.Error(), "worker_stops",
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Millisecond, Category: temporal.ApplicationErrorCategoryBenign})
	}
	return result, failure(ctx, err)
}

func beat(ctx context.Context, cancel context.CancelCauseFunc, last *atomic.Pointer[Progress]) {
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-activity.GetWorkerStopChannel(ctx):
			cancel(errWorkerStops)
		case <-ticker.C:
			if p := last.Load(); p != nil {
				activity.RecordHeartbeat(ctx, *p)
			} else {
				activity.RecordHeartbeat(ctx)
			}
		}
	}
}

// detached is the context of what an activity leaves behind, also when it was
// cancelled: it may take a second.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Second)
}
