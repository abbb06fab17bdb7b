package localprocess

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// A watchdog is a shell that ends a server after this program has died. It
// notices by the end of a pipe whose other end only this program holds, which
// the kernel closes however the program dies. A signal on the parent's death,
// which Linux offers, would be bound to the thread that forked and to Linux.
type watchdog struct {
	pid  int
	pipe io.WriteCloser
}

func startWatchdog(steps []Step) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript(steps))
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }()
	return &watchdog{pid: cmd.Process.Pid, pipe: pipe}, nil
}

// The script reads the server's process number, then waits for a second line,
// which says that the server has ended. The end of input before that line means
// that this program has died.
func watchdogScript(steps []Step) string {
	var script strings.Builder
	script.WriteString("read -r server || exit 0\nread -r ended && exit 0\n")
	for _, step := range steps {
		seconds := max(1, int(step.Patience.Seconds()))
		fmt.Fprintf(&script, "kill -%d \"$server\" || exit 0\n", int(step.Signal))
		fmt.Fprintf(&script, "left=%d\nwhile [ $left -gt 0 ]; do kill -0 \"$server\" || exit 0; sleep 1; left=$((left-1)); done\n", seconds)
	}
	script.WriteString("kill -9 \"$server\"\n")
	return script.String()
}

func (w *watchdog) watch(pid int) error {
	_, err := fmt.Fprintln(w.pipe, pid)
	return err
}

// release must come after the server has been waited for: from then on its
// number may belong to somebody else. A watchdog that never got a number takes
// the line for one, fails to kill it, and exits.
func (w *watchdog) release() {
	_, _ = fmt.Fprintln(w.pipe, "ended")
	_ = w.pipe.Close()
}
