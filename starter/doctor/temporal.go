package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"jamf-access-review/worker/service"
	"jamf-access-review/workflows"
)

// Names of the checks of Temporal.
const (
	checkTemporal         = "temporal"
	checkNamespace        = "namespace"
	checkSearchAttributes = "search_attributes"
	checkWorkers          = "workers"
	checkBuilds           = "worker_builds"
)

func (e *examination) examineTemporal(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	needTemporal := []string{checkNamespace, checkSearchAttributes, checkWorkers, checkBuilds}
	options, err := e.Settings.TemporalOptions()
	if err == nil {
		e.temporal, err = e.Temporal(ctx)
	}
	if err != nil {
		e.failWith(checkTemporal, err, "")
		e.skip(checkTemporal, needTemporal...)
		return
	}
	system, err := e.temporal.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		e.failWith(checkTemporal, &service.TemporalError{Address: options.HostPort, Cause: err}, "")
		e.skip(checkTemporal, needTemporal...)
		return
	}
	e.ok(checkTemporal, "version %s at %s", system.ServerVersion, options.HostPort)
	if namespace := cmp.Or(options.Namespace, client.DefaultNamespace); e.examineNamespace(ctx, namespace) {
		e.namespace = namespace
		e.examineSearchAttributes(ctx)
		e.examineWorkers(ctx)
	}
}

const mayIt = "may this program use the namespace? See TEMPORAL_NAMESPACE and TEMPORAL_API_KEY"

// examineNamespace reports whether the namespace is there.
func (e *examination) examineNamespace(ctx context.Context, namespace string) bool {
	found, err := e.temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err == nil {
		kept := found.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
		e.ok(checkNamespace, "%s; the histories of ended runs are kept for %s", namespace, kept)
		return true
	}
	if _, gone := errors.AsType[*serviceerror.NamespaceNotFound](err); gone {
		e.fail(checkNamespace, unreachable, "set TEMPORAL_NAMESPACE to the one the workers use, or make it: `temporal operator namespace create --namespace "+namespace+"`",
			"Temporal has no namespace %s", namespace)
	} else {
		e.failWith(checkNamespace, fmt.Errorf("ask for the namespace %s: %w", namespace, err), mayIt)
	}
	e.skip(checkNamespace, checkSearchAttributes, checkWorkers, checkBuilds)
	return false
}

// examineSearchAttributes only warns: connections sync without them.
func (e *examination) examineSearchAttributes(ctx context.Context) {
	found, err := e.temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: e.namespace})
	if err != nil {
		e.warn(checkSearchAttributes, "look at them where Temporal is administered", "Temporal does not tell which there are: %s", err)
		return
	}
	var lacking, commands []string
	for _, name := range workflows.SearchAttributes() {
		switch kind, ok := found.CustomAttributes[name]; {
		case !ok:
			lacking = append(lacking, name)
			commands = append(commands, "--name "+name)
		case kind != enums.INDEXED_VALUE_TYPE_KEYWORD:
			e.warn(checkSearchAttributes, "remove it in Temporal and make it again as Keyword", "%s is of type %s and has to be Keyword", name, kind)
			return
		}
	}
	if len(lacking) > 0 {
		e.warn(checkSearchAttributes, fmt.Sprintf("start a worker, which makes them, or: `temporal operator search-attribute create --namespace %s --type Keyword %s`",
			e.namespace, strings.Join(commands, " ")),
			"missing: %s; connections cannot be searched by them in Temporal's UI", strings.Join(lacking, ", "))
		return
	}
	e.ok(checkSearchAttributes, "all %d are there", len(workflows.SearchAttributes()))
}

const startWorker = "start one: `go run ./worker`, or `starter dev`; with the same TEMPORAL_NAMESPACE as here"

// pollerGone is after what time a worker that polls would have polled again.
// Temporal lists it for some minutes more.
const pollerGone = 2 * time.Minute

func (e *examination) examineWorkers(ctx context.Context) {
	builds := map[string]string{} // of workers, by their identity
	var missing []string
	for kind, name := range map[enums.TaskQueueType]string{
		enums.TASK_QUEUE_TYPE_WORKFLOW: "workflows", enums.TASK_QUEUE_TYPE_ACTIVITY: "activities",
	} {
		queue, err := e.temporal.DescribeTaskQueue(ctx, workflows.TaskQueue, kind)
		if err != nil {
			e.failWith(checkWorkers, fmt.Errorf("ask for the workers of the task queue %q: %w", workflows.TaskQueue, err), mayIt)
			e.skip(checkWorkers, checkBuilds)
			return
		}
		polling := slices.DeleteFunc(queue.Pollers, func(p *taskqueue.PollerInfo) bool { return time.Since(p.LastAccessTime.AsTime()) > pollerGone })
		if len(polling) == 0 {
			missing = append(missing, name)
		}
		for _, p := range polling {
			builds[p.Identity] = buildOf(p)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		e.fail(checkWorkers, unreachable, startWorker, "no worker polls the task queue %q for %s", workflows.TaskQueue, strings.Join(missing, " and "))
		e.skip(checkWorkers, checkBuilds)
		return
	}
	e.ok(checkWorkers, "%d: %s", len(builds), strings.Join(atMost(slices.Sorted(maps.Keys(builds)), 5), ", "))
	e.examineBuilds(slices.Compact(slices.Sorted(maps.Values(builds))))
}

// buildOf is the build that a worker says it is of.
func buildOf(p *taskqueue.PollerInfo) string {
	// A worker without a deployment only sends what it had before there were
	// any, which is deprecated and not replaced for it.
	return cmp.Or(p.GetDeploymentOptions().GetBuildId(), p.GetWorkerVersionCapabilities().GetBuildId()) //lint:ignore SA1019 see above
}

func (e *examination) examineBuilds(builds []string) {
	own := service.Build()
	const remedy = "let all workers and this program be of one build; after an update, old workers are seen for some minutes"
	switch {
	case len(builds) > 1:
		e.warn(checkBuilds, remedy, "workers of different builds: %s", strings.Join(builds, ", "))
	case builds[0] == "":
		e.warn(checkBuilds, remedy, "Temporal does not tell which build the workers are of")
	case own != "" && own != builds[0]:
		e.warn(checkBuilds, remedy, "the workers are of build %s and this program is of %s", builds[0], own)
	default:
		e.ok(checkBuilds, "all of %s", builds[0])
	}
}

// atMost are the first n, and how many more there are.
func atMost(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
}
