package hdfs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// writerEnv makes this binary a writer instead of running tests: the URL of the
// store.
const writerEnv = "TALOS_TEST_HDFS_WRITER"

// stage is where a writer process stops itself (SIGSTOP).
type stage string

const (
	afterCreate    stage = stage(hdfs.FileCreated)
	afterAddBlock  stage = stage(hdfs.BlockAllocated)
	afterConnect   stage = stage(hdfs.Connected)
	afterHead      stage = stage(hdfs.HeadWritten)
	afterAppends   stage = "appends acknowledged"
	duringAppends  stage = "appends in flight"
	writerAppends        = 20
	writerHead           = "head;"
	writerDeadline       = time.Minute
)

// report is what a writer says on its standard output, one JSON a line.
type report struct {
	// Stage is set when it is about to stop there.
	Stage stage `json:",omitempty"`
	// Acked is set for each append that was acknowledged: the segment's length.
	Acked int64 `json:",omitempty"`
	// Over is set at the end: what became of Create or Seal.
	Over  bool   `json:",omitempty"`
	Error string `json:",omitempty"`
}

// write is a writer's life: create, append, seal; it stops at one stage.
func write(store, name string, at stage, out io.Writer) error {
	encoder := json.NewEncoder(out)
	say := func(r report) {
		if err := encoder.Encode(r); err != nil {
			panic(err)
		}
	}
	reached := func(s stage) {
		if s != at {
			return
		}
		say(report{Stage: s})
		if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
			panic(err)
		}
	}
	u, err := url.Parse(store)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), writerDeadline)
	defer cancel()
	s, err := hdfs.Open(ctx, u, hdfs.Options{AtStep: func(step hdfs.Step) { reached(stage(step)) }})
	if err != nil {
		return err
	}
	a, err := s.Create(ctx, storage.ID{Folder: "zombies", Name: name}, []byte(writerHead), talos.Sync)
	if err != nil {
		say(report{Over: true, Error: err.Error()})
		return nil
	}
	length := int64(len(writerHead))
	acked := make(chan error, 1)
	for i := range writerAppends {
		p := appendedBytes(i)
		a.Append(p, func(err error) { acked <- err })
		if i == writerAppends/2 {
			reached(duringAppends)
		}
		if err := <-acked; err != nil {
			break
		}
		length += int64(len(p))
		say(report{Acked: length})
	}
	reached(afterAppends)
	err = a.Seal(ctx)
	last := report{Over: true}
	if err != nil {
		last.Error = err.Error()
	}
	say(last)
	a.Abandon()
	return nil
}

// appendedBytes are those of a writer's n-th append.
func appendedBytes(n int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("append %d;", n), 1+7*n))
}

// writer is such a process.
type writer struct {
	t       *testing.T
	cmd     *exec.Cmd
	reports *bufio.Scanner
	acked   int64
}

// startWriter runs one until it stops itself.
func startWriter(t *testing.T, store, name string, at stage) *writer {
	t.Helper()
	cmd := exec.Command(os.Args[0], name, string(at))
	cmd.Env = append(os.Environ(), writerEnv+"="+store)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	w := &writer{t: t, cmd: cmd, reports: bufio.NewScanner(out)}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it may be gone already
			_ = cmd.Wait()         // it was killed
		}
	})
	for {
		r := w.next()
		require.False(t, r.Over, "the writer ended before %q: %s", at, r.Error)
		if r.Stage == at {
			return w
		}
	}
}

// next is the next report.
func (w *writer) next() report {
	w.t.Helper()
	require.True(w.t, w.reports.Scan(), "the writer ended without a word: %v", w.reports.Err())
	var r report
	require.NoError(w.t, json.Unmarshal(w.reports.Bytes(), &r), w.reports.Text())
	if r.Acked > 0 {
		w.acked = r.Acked
	}
	return r
}

// goOn lets the writer live to its end, and returns its last report and how many
// bytes were acknowledged afterwards.
func (w *writer) goOn() (last report, more int64) {
	w.t.Helper()
	before := w.acked
	require.NoError(w.t, w.cmd.Process.Signal(syscall.SIGCONT))
	for !last.Over {
		last = w.next()
	}
	require.NoError(w.t, w.cmd.Wait())
	return last, w.acked - before
}
