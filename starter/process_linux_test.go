//go:build figures

package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is a process's memory in MiB: VmRSS now, VmHWM at its highest. It is 0
// once the process has ended.
func memory(t *testing.T, process *os.Process, which string) float64 {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, which+":"); ok {
			kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return float64(kilobytes) / 1024
		}
	}
	return 0
}

// cpu is the processor time that a worker has taken.
func (wk *worker) cpu(t *testing.T) time.Duration {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", wk.cmd.Process.Pid))
	require.NoError(t, err)
	_, fields, _ := strings.Cut(string(content), ") ") // after the program's name
	ticks := 0
	for _, field := range strings.Fields(fields)[11:13] { // of the user, of the system
		n, err := strconv.Atoi(field)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// streamed is how a long answer came.
type streamed struct {
	first, all time.Duration
	memory     float64 // MiB at its highest
}

// streamUsers reads the users of a connection from the command.
func (s *subject) streamUsers() streamed {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), program("starter"), "users", s.name, "-o", "json")
	cmd.Env = s.env
	out, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	began := time.Now()
	require.NoError(s.t, cmd.Start())
	chunk := make([]byte, 1<<20)
	_, err = io.ReadFull(out, chunk[:1])
	require.NoError(s.t, err)
	r := streamed{first: time.Since(began)}
	for err == nil {
		r.memory = max(r.memory, memory(s.t, cmd.Process, "VmHWM"))
		_, err = io.ReadFull(out, chunk)
	}
	require.NoError(s.t, cmd.Wait())
	r.all = time.Since(began)
	return r
}
