package service

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/sethvargo/go-retry"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"jamf-access-review/workflows"
)

// registrationTimeout bounds how long a worker's start waits for a Temporal
// that is slow to learn of search attributes.
const registrationTimeout = 10 * time.Second

// registerSearchAttributes registers the workflows' search attributes where they are not
// known, and reports whether they can be used. A worker that may not register
// them works without.
func registerSearchAttributes(ctx context.Context, c client.Client, namespace string, logger *slog.Logger) bool {
	ctx, cancel := context.WithTimeout(ctx, registrationTimeout)
	defer cancel()
	if checkSearchAttributes(ctx, c, namespace) == nil {
		return true
	}
	types := map[string]enumspb.IndexedValueType{}
	for _, name := range workflows.SearchAttributes() {
		types[name] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: types})
	if _, another := errors.AsType[*serviceerror.AlreadyExists](err); err == nil || another {
		// A frontend of Temporal's looks for new ones every few seconds.
		err = retry.Do(ctx, retry.WithCappedDuration(time.Second, retry.NewExponential(50*time.Millisecond)), func(ctx context.Context) error {
			return retry.RetryableError(checkSearchAttributes(ctx, c, namespace))
		})
	}
	if err != nil {
		logger.Warn("Connections cannot be searched for in Temporal's UI by state", "missing", workflows.SearchAttributes(), "error", err)
	}
	return err == nil
}

// checkSearchAttributes returns an error when Temporal does not know one of the search
// attributes. It takes a query, which every worker may make.
func checkSearchAttributes(ctx context.Context, c client.Client, namespace string) error {
	var terms []string
	for _, name := range workflows.SearchAttributes() {
		terms = append(terms, name+" IS NOT NULL")
	}
	_, err := c.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: namespace, Query: strings.Join(terms, " AND "),
	})
	return err
}
