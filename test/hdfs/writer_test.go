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
	"os/signal"
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
	afterCreate     stage = stage(hdfs.FileCreated)
	afterAddBlock   stage = stage(hdfs.BlockAllocated)
	afterConnect    stage = stage(hdfs.Connected)
	afterHead       stage = stage(hdfs.HeadWritten)
	duringAppends   stage = "appends in flight"
	afterAppends    stage = "appends acknowledged"
	afterBlockEnded stage = stage(hdfs.BlockEnded)
	afterFileClosed stage = stage(hdfs.FileClosed)
	// never: it appends until that fails, and tells when it has begun.
	never stage = "never"
)

const (
	writerFolder = "zombies"
	writerHead   = "head;"
	// writerAppends is how many appends a writer makes that comes to its end, and
	// writerWindow how many of them are in flight.
	writerAppends  = 20
	writerWindow   = 6
	writerDeadline = 5 * time.Minute
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

// life is what a writer process is told.
type life struct {
	name       string
	at         stage
	durability talos.Durability
}

// args are those of the process.
func (l life) args() []string { return []string{l.name, string(l.at), string(l.durability)} }

func lifeOf(args []string) life {
	return life{name: args[0], at: stage(args[1]), durability: talos.Durability(args[2])}
}

// write is a writer's life: create, append, seal; it stops at one stage.
func (l life) write(store string, out io.Writer) error {
	encoder := json.NewEncoder(out)
	say := func(r report) {
		if err := encoder.Encode(r); err != nil {
			panic(err)
		}
	}
	reached := func(s stage) {
		if s == l.at {
			say(report{Stage: s})
			stopSelf()
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
	a, err := s.Create(ctx, storage.ID{Folder: writerFolder, Name: l.name}, []byte(writerHead), l.durability)
	if err != nil {
		say(report{Over: true, Error: err.Error()})
		return s.Close()
	}
	l.appends(a, say, reached)
	reached(afterAppends)
	err = a.Seal(ctx)
	last := report{Over: true}
	if err != nil {
		last.Error = err.Error()
	}
	say(last)
	a.Abandon()
	return s.Close()
}

// appends keeps several appends in flight, until the last one or a failure.
func (l life) appends(a storage.Appender, say func(report), reached func(stage)) {
	length := int64(len(writerHead))
	acked := make(chan error, writerWindow)
	issued, answered := 0, 0
	for answered < writerAppends || l.at == never {
		if issued < answered+writerWindow && (issued < writerAppends || l.at == never) {
			a.Append(appendedBytes(issued), func(err error) { acked <- err })
			issued++
			if issued == writerAppends/2 {
				reached(duringAppends)
			}
			continue
		}
		if err := <-acked; err != nil {
			return
		}
		length += int64(len(appendedBytes(answered)))
		answered++
		if l.at == never && answered == 1 {
			say(report{Stage: never})
		}
		say(report{Acked: length})
	}
}

// stopSelf returns when somebody lets the process go on.
func stopSelf() {
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGCONT)
	defer signal.Stop(goOn)
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		panic(err)
	}
	// The signal may stop this thread a moment later.
	<-goOn
}

// appendedBytes are those of a writer's n-th append.
func appendedBytes(n int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("append %d;", n), 1+7*(n%writerAppends)))
}

// appended is what the first bytes of a writer's segment are.
func appended(size int) []byte {
	all := []byte(writerHead)
	for n := 0; len(all) < size; n++ {
		all = append(all, appendedBytes(n)...)
	}
	return all[:size]
}

// writer is such a process.
type writer struct {
	cmd     *exec.Cmd
	reports *bufio.Scanner
	acked   int64
}

// startWriter runs one until it has reached its stage.
func startWriter(t *testing.T, store string, l life) *writer {
	t.Helper()
	w, err := runWriter(store, l)
	if w != nil {
		t.Cleanup(w.end)
	}
	require.NoError(t, err)
	return w
}

// runWriter is startWriter for any goroutine. The caller must end the writer if
// there is one.
func runWriter(store string, l life) (*writer, error) {
	cmd := exec.Command(os.Args[0], l.args()...)
	cmd.Env = append(os.Environ(), writerEnv+"="+store)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &writer{cmd: cmd, reports: bufio.NewScanner(out)}
	for {
		r, err := w.next()
		switch {
		case err != nil:
			return w, err
		case r.Over:
			return w, fmt.Errorf("the writer ended before %q: %s", l.at, r.Error)
		case r.Stage == l.at:
			return w, nil
		}
	}
}

// end kills the process if it is not gone.
func (w *writer) end() {
	if w.cmd.ProcessState == nil {
		_ = w.cmd.Process.Kill() // it may be gone already
		_ = w.cmd.Wait()         // it was killed
	}
}

// next is the next report; io.EOF if there is none.
func (w *writer) next() (report, error) {
	var r report
	if !w.reports.Scan() {
		if err := w.reports.Err(); err != nil {
			return r, err
		}
		return r, io.EOF
	}
	if err := json.Unmarshal(w.reports.Bytes(), &r); err != nil {
		return r, fmt.Errorf("%s: %w", w.reports.Text(), err)
	}
	if r.Acked > 0 {
		w.acked = r.Acked
	}
	return r, nil
}

// rest is the last report, when all have been read.
func (w *writer) rest() (report, error) {
	for {
		if r, err := w.next(); err != nil || r.Over {
			return r, err
		}
	}
}

// goOn lets a stopped writer live to its end, and returns its last report and how
// many bytes were acknowledged afterwards.
func (w *writer) goOn(t *testing.T) (last report, more int64) {
	t.Helper()
	before := w.acked
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGCONT))
	last, err := w.rest()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Wait())
	return last, w.acked - before
}
