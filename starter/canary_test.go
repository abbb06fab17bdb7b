package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"
)

// Nobody who reads Temporal's histories, a worker's log or the list of
// processes may learn a secret or anything about a person. Tests mark all of
// that with a word, and remember the access tokens, which nobody can mark.

const canary = "canary"

var tokens sync.Map

// canaries are what must not be found, in lower case.
func canaries() [][]byte {
	all := [][]byte{[]byte(canary)}
	// Bytes in JSON are written in base64, where a word looks different at each
	// of three offsets. Its ends depend on its neighbours and are left out.
	for offset := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), canary...))
		all = append(all, bytes.ToLower([]byte(encoded[(offset*8+5)/6:(offset+len(canary))*8/6])))
	}
	tokens.Range(func(token, _ any) bool {
		all = append(all, bytes.ToLower([]byte(token.(string))))
		return true
	})
	return all
}

// searchForCanaries searches what all worlds have left behind.
func searchForCanaries(ctx context.Context) error {
	words := canaries()
	var errs []error
	for _, w := range worlds {
		errs = append(errs, w.searchLogs(words), w.searchHistories(ctx, words), w.searchDatabase(ctx))
	}
	return errors.Join(errs...)
}

func (w *world) searchLogs(words [][]byte) error {
	logs, err := filepath.Glob(filepath.Join(w.dir, "worker-*.log"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		// A search that is looking in the wrong place finds nothing either.
		if !bytes.Contains(content, []byte("DEBUG")) {
			return fmt.Errorf("%s is no debug log: %.300s", name, content)
		}
		for line := range bytes.Lines(content) {
			if err := search(name, line, words); err != nil {
				return err
			}
		}
	}
	return nil
}

// aboutPeople are the tables that hold what is known of people. No other holds
// any of it, and none holds a secret that is not sealed.
var aboutPeople = []string{"accounts", "staged_accounts", "changes", "held_changes", "people", "person_addresses", "findings"}

func (w *world) searchDatabase(ctx context.Context) error {
	database, err := sqlx.ConnectContext(ctx, "postgres", w.databaseURL)
	if err != nil {
		return err
	}
	defer database.Close()
	var tables []string
	if err := database.SelectContext(ctx, &tables, `
		SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`); err != nil {
		return err
	}
	for _, table := range tables {
		word := canary
		if slices.Contains(aboutPeople, table) {
			word = "canary-secret"
		}
		found, err := rowsWith(ctx, database, table, word)
		if err != nil {
			return err
		}
		if found > 0 {
			return fmt.Errorf("%d rows of table %s of %s hold the word %q", found, table, w.namespace, word)
		}
	}
	if w != shared {
		return nil
	}
	return searchFinds(ctx, database)
}

// rowsWith counts the rows of a table in which a word is, or the hexadecimal
// digits of it, as which bytes are shown.
func rowsWith(ctx context.Context, database *sqlx.DB, table, word string) (rows int, err error) {
	err = database.GetContext(ctx, &rows, `
		SELECT count(*) FROM `+table+` t WHERE t::text ILIKE '%' || $1 || '%' OR t::text LIKE '%' || $2 || '%'`,
		word, hex.EncodeToString([]byte(word)))
	return rows, err
}

// searchFinds makes sure that a search finds what is there: people in a table of
// theirs, and bytes that nobody has sealed.
func searchFinds(ctx context.Context, database *sqlx.DB) error {
	var people int
	if err := database.GetContext(ctx, &people, `SELECT count(*) FROM accounts`); err != nil {
		return err
	}
	found, err := rowsWith(ctx, database, "accounts", canary)
	if err != nil {
		return err
	}
	if people > 0 && found == 0 {
		return fmt.Errorf("none of %d accounts is marked with the word %q", people, canary)
	}
	found, err = rowsWith(ctx, database, `(SELECT convert_to('a-canary', 'UTF8'))`, canary)
	if err == nil && found == 0 {
		err = errors.New("the search does not find a word among bytes")
	}
	return err
}

func (w *world) searchHistories(ctx context.Context, words [][]byte) error {
	runs := 0
	request := &workflowservice.ListWorkflowExecutionsRequest{Namespace: w.namespace}
	for {
		page, err := w.listWorkflows(ctx, request)
		if err != nil {
			return err
		}
		for _, run := range page.Executions {
			runs++
			if err := w.searchRun(ctx, run, words); err != nil {
				return err
			}
		}
		if request.NextPageToken = page.NextPageToken; len(request.NextPageToken) == 0 {
			break
		}
	}
	fmt.Printf("searched %d workflow runs of namespace %s\n", runs, w.namespace)
	return nil
}

// listWorkflows waits for a namespace that the busy server does not find for a
// moment: what was done in it shows that it is there.
func (w *world) listWorkflows(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	for {
		page, err := w.client.ListWorkflow(ctx, request)
		if _, missing := errors.AsType[*serviceerror.NamespaceNotFound](err); !missing {
			return page, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-retry.C:
		}
	}
}

func (w *world) searchRun(ctx context.Context, run *workflow.WorkflowExecutionInfo, words [][]byte) error {
	id, runID := run.Execution.WorkflowId, run.Execution.RunId
	where := fmt.Sprintf("%s of %s", runID, id)
	if err := searchMessage("the list's entry of run "+where, run, words); err != nil {
		return err
	}
	events := 0
	history := w.client.GetWorkflowHistory(ctx, id, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			return err
		}
		events++
		if err := searchMessage(fmt.Sprintf("event %d (%s) of run %s", event.EventId, event.EventType, where), event, words); err != nil {
			return err
		}
	}
	if events == 0 {
		return fmt.Errorf("run %s has no history", where)
	}
	description, err := w.client.DescribeWorkflowExecution(ctx, id, runID)
	if err != nil {
		return err
	}
	if err := searchMessage("the description of run "+where, description, words); err != nil {
		return err
	}
	if run.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil
	}
	return w.searchDetails(ctx, id, runID, words)
}

// workflowMetadata is the name of the query by which Temporal's UI asks.
const workflowMetadata = "__temporal_workflow_metadata"

// searchDetails searches what Temporal's UI shows of a running workflow. Only
// a worker can tell that, and not every world still has one.
func (w *world) searchDetails(ctx context.Context, id, runID string, words [][]byte) error {
	if w != shared {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := w.client.QueryWorkflow(ctx, id, runID, workflowMetadata)
	if err != nil {
		return nil // it has ended meanwhile
	}
	var details sdk.WorkflowMetadata
	if err := answer.Get(&details); err != nil {
		return err
	}
	return searchMessage("the details of "+id, &details, words)
}

func searchMessage(where string, message proto.Message, words [][]byte) error {
	content, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	return search(where, content, words)
}

func search(where string, content []byte, words [][]byte) error {
	lower := bytes.ToLower(content)
	for _, word := range words {
		if at := bytes.Index(lower, word); at >= 0 {
			return fmt.Errorf("%s tells a secret or something about a person: %q", where, content[max(0, at-200):min(len(content), at+200)])
		}
	}
	return nil
}

// watchArguments looks at the arguments of all processes again and again until
// it is told to stop, and then says whether a secret was among them.
func watchArguments() (stop func() error) {
	done := make(chan struct{})
	found := make(chan error, 1)
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			if err := searchArguments(); err != nil {
				found <- err
				return
			}
			select {
			case <-done:
				found <- nil
				return
			case <-ticker.C:
			}
		}
	}()
	return func() error {
		close(done)
		return <-found
	}
}

func searchArguments() error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			continue // the process has ended
		}
		if bytes.Contains(content, []byte("canary-secret-")) {
			return fmt.Errorf("a secret is among the arguments of a process: %q", content)
		}
	}
	return nil
}
