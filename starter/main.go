// The starter is the command line of Jamf Access Review: go run ./starter
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"jamf-access-review/starter/output"
)

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	// Whatever does not end at the first signal ends at the second.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one command and returns its exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	answer := &output.Answer{Writer: stdout}
	a := &app{in: stdin, out: answer, err: stderr, format: output.FormatIn(args)}
	defer a.close()
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(a.out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if answer.Err != nil {
		err = fmt.Errorf("the answer could not be written: %w", answer.Err)
	}
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil {
		err = stopped(err)
	}
	f := failureOf(err)
	if f.Hint == "" && f.exit() == exitUnexpected {
		f.Hint = lookForCause
	}
	if !f.reported {
		a.report(f, answer.Begun)
	}
	return f.exit()
}
