package hdfsbench

import (
	"bufio"
	"context"
	_ "embed" // for the source of Hadoop's side
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/talos-log/talos/test/hadoop"
)

//go:embed Peer.java
var peerSource []byte

const (
	// commandTimeout bounds a command beyond the time that it is to take.
	commandTimeout = 3 * time.Minute
	// endTimeout bounds the wait for the end of the JVM.
	endTimeout = 30 * time.Second
	// peerFolder is where its files are.
	peerFolder = "/peer"
)

// peer is Hadoop's own client: one JVM, which takes commands from its standard
// input; Peer.java says which.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	// log is the file that gets Hadoop's log.
	log string
}

// openPeer starts the JVM, with its files in a folder. The caller must close it.
func openPeer(c *hadoop.Cluster, scratch string) (*peer, error) {
	source := filepath.Join(scratch, "Peer.java")
	if err := os.WriteFile(source, peerSource, 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(scratch, "peer.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the JVM has a file descriptor of its own
	cmd := c.Program(source)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &peer{cmd: cmd, in: in, out: bufio.NewReader(out), log: log.Name()}, nil
}

// close ends the JVM.
func (p *peer) close() error {
	err := p.in.Close()
	timer := time.AfterFunc(endTimeout, p.kill)
	defer timer.Stop()
	return errors.Join(err, p.cmd.Wait())
}

// maxTail is how much of the log is shown after a failure, in bytes.
const maxTail = 4 << 10

// failed is the error of a command, with the end of Hadoop's log.
func (p *peer) failed(command string, err error) error {
	text, reading := os.ReadFile(p.log)
	if reading != nil {
		return errors.Join(err, reading)
	}
	return fmt.Errorf("the client of Hadoop on %q: %w\n%s", command, err, text[max(0, len(text)-maxTail):])
}

// kill makes whatever waits for the JVM fail; that it is gone already is fine.
func (p *peer) kill() { _ = p.cmd.Process.Kill() }

// ask gives a command and waits for its answer.
func (p *peer) ask(ctx context.Context, lasts time.Duration, words ...any) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lasts+commandTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, p.kill)()
	command := strings.TrimSuffix(fmt.Sprintln(words...), "\n")
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return nil, p.failed(command, errors.Join(err, ctx.Err()))
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, p.failed(command, errors.Join(err, ctx.Err()))
	}
	numbers, err := parseAnswer(line)
	if err != nil {
		return nil, p.failed(command, err)
	}
	return numbers, nil
}

func parseAnswer(line string) ([]time.Duration, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "ok")
	if !ok {
		return nil, errors.New(strings.TrimSpace(line))
	}
	var numbers []time.Duration
	for word := range strings.FieldsSeq(rest) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, time.Duration(n))
	}
	return numbers, nil
}

// timed is ask for commands that answer the elapsed time and that of each append.
func (p *peer) timed(ctx context.Context, lasts time.Duration, words ...any) (outcome, error) {
	numbers, err := p.ask(ctx, lasts, words...)
	if err != nil {
		return outcome{}, err
	}
	if len(numbers) == 0 {
		return outcome{}, p.failed(fmt.Sprint(words...), errors.New("an answer without numbers"))
	}
	return outcome{elapsed: numbers[0], each: numbers[1:]}, nil
}

func durable(sync bool) string {
	if sync {
		return "sync"
	}
	return "flush"
}

func (p *peer) append(ctx context.Context, l load) (outcome, error) {
	return p.timed(ctx, l.lasts, "append", peerFolder, durable(l.sync), l.files, l.lasts.Milliseconds(), l.size)
}

func (p *peer) stream(ctx context.Context, bytes int64) (outcome, error) {
	return p.streamIn(ctx, bytes, pieceBytes)
}

func (p *peer) streamIn(ctx context.Context, bytes, piece int64) (outcome, error) {
	o, err := p.timed(ctx, 0, "stream", peerFolder, bytes, piece)
	o.bytes = bytes
	return o, err
}

func (p *peer) open(ctx context.Context, count int, sync bool) (outcome, error) {
	return p.timed(ctx, 0, "open", peerFolder, durable(sync), count, appendBytes)
}

func (p *peer) gap(ctx context.Context, during func() error) (outcome, error) {
	if _, err := p.ask(ctx, 0, "gap", peerFolder, appendBytes); err != nil {
		return outcome{}, err
	}
	err := during()
	longest, asked := p.ask(ctx, 0, "stop")
	return outcome{each: longest}, errors.Join(err, asked)
}
