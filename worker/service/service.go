// Package service is the worker: what is wired together to run workflows and
// activities, and how it stops.
package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"jamf-access-review/activities"
	"jamf-access-review/activities/directory"
	"jamf-access-review/activities/directory/httpclient"
	"jamf-access-review/activities/directory/jamf"
	"jamf-access-review/activities/directory/truto"
	"jamf-access-review/activities/webhook"
	"jamf-access-review/db"
	"jamf-access-review/worker/metrics"
	"jamf-access-review/workflows"
)

// stopTimeout is how long activities have to end once the worker is told to
// stop. A fetch ends at once and goes on elsewhere.
const stopTimeout = 4 * time.Second

// keptRuns is how many workflow runs a worker keeps in memory, at about 50 KB
// each, those that wait for their next sync included, however many there are.
// Of one that is not kept a short history is read when its time has come.
const keptRuns = 300

// Config says what a worker works on.
type Config struct {
	DatabaseURL string
	Keyset      *db.Keyset
	Temporal    client.Options
	Logger      *slog.Logger
	// MaxBody is the largest body, in bytes, that is read from a source; 0
	// means as package httpclient has it.
	MaxBody int64
	// Listen is the address, as in "127.0.0.1:9090", at which the worker says
	// over HTTP how it is: /livez, /readyz and /metrics. Nobody is asked who
	// they are. "" listens nowhere.
	Listen string
}

// Run works until ctx ends, or until the worker cannot go on. It brings the
// database's schema up to date first, where its role may; where it may not, the
// schema's owner has done so. ready, if not nil, is called once the worker polls.
func Run(ctx context.Context, c Config, ready func()) error {
	c.Logger = namingConnections(c.Logger)
	watch, err := newWatch(c.Listen, c.Logger)
	if err != nil {
		return err
	}
	defer watch.close()

	record, err := db.Open(ctx, c.DatabaseURL, db.WithKeyset(c.Keyset))
	if err != nil {
		return err
	}
	defer record.Close()
	if err := prepare(ctx, record); err != nil {
		return err
	}
	watch.record(record)

	options := c.Temporal
	options.Logger = log.NewStructuredLogger(c.Logger)
	if c.Listen != "" { // they cost a twentieth of the CPU time, and nobody could see them
		options.MetricsHandler = watch.metrics.Temporal()
	}
	temporal, err := client.DialContext(ctx, options)
	if err != nil {
		return &TemporalError{Address: options.HostPort, Cause: err}
	}
	defer temporal.Close()
	watch.temporal(temporal)

	fatal := make(chan error, 1)
	worker.SetStickyWorkflowCacheSize(keptRuns)
	w := worker.New(temporal, workflows.TaskQueue, worker.Options{
		DeploymentOptions:           deployment(),
		WorkerStopTimeout:           stopTimeout,
		DisableRegistrationAliasing: true,
		WorkflowTaskPollerBehavior:  worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior:  worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		OnFatalError:                func(err error) { fatal <- err },
	})
	workflows.Register(w)
	(&activities.Activities{
		Record: record, Providers: providers(c, watch.metrics), SyncEnded: watch.metrics.SyncEnded,
		Searchable: registerSearchAttributes(ctx, temporal, cmp.Or(options.Namespace, client.DefaultNamespace), c.Logger),
		Webhooks:   webhook.NewSender(httpclient.Config{}), StartDelivery: startDelivery(temporal),
	}).Register(w)
	if err := w.Start(); err != nil {
		return &TemporalError{Address: options.HostPort, Cause: err}
	}
	defer w.Stop()
	watch.health.SetReady()
	c.Logger.Info("The worker is polling", "queue", workflows.TaskQueue, "temporal", options.HostPort)
	if ready != nil {
		ready()
	}
	select {
	case <-ctx.Done():
		watch.health.SetStopping()
		return nil
	case err := <-fatal:
		watch.health.SetFailed(err)
		return err
	}
}

func prepare(ctx context.Context, record *db.DB) error {
	if _, err := record.Migrate(ctx); errors.Is(err, db.ErrNotOwner) {
		return fmt.Errorf("%w: run `starter migrate` with the DATABASE_URL of that role", err)
	} else if err != nil {
		return err
	}
	return record.CheckPrivileges(ctx)
}

// providers are the sorts of sources there are.
func providers(c Config, m *metrics.Metrics) map[string]directory.Provider {
	http := func(source string) httpclient.Config {
		return httpclient.Config{MaxBody: c.MaxBody, Observer: m.Requests(source)}
	}
	return map[string]directory.Provider{
		directory.JamfPro: m.Provider(directory.JamfPro, jamf.NewProvider(http(directory.JamfPro))),
		directory.Truto:   m.Provider(directory.Truto, truto.NewProvider(http(directory.Truto))),
	}
}

func startDelivery(temporal client.Client) activities.StartDelivery {
	return func(ctx context.Context, r db.Route) error {
		_, err := Deliver(ctx, temporal, r)
		return err
	}
}

// Deliver makes sure that the notices that wait on a route are being delivered,
// and returns the run that sees to it.
func Deliver(ctx context.Context, temporal client.Client, r db.Route) (client.WorkflowRun, error) {
	return temporal.SignalWithStartWorkflow(ctx, workflows.NotifyID(r), workflows.NoticeMessage, nil,
		client.StartWorkflowOptions{TaskQueue: workflows.TaskQueue, StaticSummary: workflows.NotifySummary(r)}, workflows.Notify, r)
}

// TemporalError says that no usable Temporal answers at an address.
type TemporalError struct {
	Address string
	Cause   error
}

func (e *TemporalError) Error() string {
	if Refused(e.Cause) {
		return fmt.Sprintf("Temporal at %s refuses: %v", e.Address, e.Cause)
	}
	return fmt.Sprintf("no Temporal at %s: %v", e.Address, e.Cause)
}

func (e *TemporalError) Unwrap() error { return e.Cause }

// Refused says whether an error is Temporal's refusal of who asks, or of the
// namespace that is asked for.
func Refused(err error) bool {
	_, denied := errors.AsType[*serviceerror.PermissionDenied](err)
	_, unknown := errors.AsType[*serviceerror.NamespaceNotFound](err)
	return denied || unknown || status.Code(err) == codes.Unauthenticated
}
