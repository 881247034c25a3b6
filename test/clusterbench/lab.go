package clusterbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/etcd"
	"github.com/talos-log/talos/test/process"
)

const (
	// topic is the only one.
	topic = talos.TopicName("figures")
	// patience bounds each thing that must happen, on a busy machine.
	patience = 5 * time.Minute
	// look is how often the cluster is asked whether it has happened.
	look = 10 * time.Millisecond
	// endTimeout bounds the end of a node; then it is killed.
	endTimeout = time.Minute
	// maxTail is how much of a log is shown after a failure, in bytes.
	maxTail = 4 << 10
)

// lab is a cluster for one figure, and what was measured in it. It belongs to one
// goroutine.
type lab struct {
	Plan
	figure string
	store  *backing
	etcd   *etcd.Cluster
	nodes  []*process.Server
	// addresses are those of all nodes.
	addresses string
	client    *sdk.Client
	words     io.Writer
	results   []Result
}

func openLab(ctx context.Context, p Plan, b *backing, name, scratch string) (*lab, error) {
	l := &lab{Plan: p, figure: name, store: b, words: io.Discard}
	if err := l.open(ctx, scratch); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, l.tails()), l.close())
	}
	return l, nil
}

func (l *lab) open(ctx context.Context, scratch string) error {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	store, err := l.store.open(ctx, l.figure)
	if err != nil {
		return err
	}
	if l.etcd, err = etcd.Start(ctx, etcd.Config{Folder: filepath.Join(scratch, "etcd")}); err != nil {
		return err
	}
	var addresses []string
	for i := range l.Nodes {
		n := &process.Server{ID: fmt.Sprintf("node-%d", i+1), Env: l.store.env}
		n.Log = filepath.Join(scratch, n.ID+".log")
		if n.Address, err = process.FreeAddress(); err != nil {
			return err
		}
		if n.Pages, err = process.FreeAddress(); err != nil {
			return err
		}
		n.Args = []string{"--etcd", strings.Join(l.etcd.Endpoints(), ","), "--store", store, "--session-ttl", l.Lease.String()}
		if err := n.Launch(l.Binary); err != nil {
			return err
		}
		l.nodes, addresses = append(l.nodes, n), append(addresses, n.Address)
	}
	l.addresses = strings.Join(addresses, ",")
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, n := range l.nodes {
		if err := n.Await(ctx); err != nil {
			return err
		}
	}
	l.client, err = sdk.Dial(l.addresses)
	return err
}

// close ends everything at once: what is in the store is not needed any more.
func (l *lab) close() error {
	var failed []error
	if l.client != nil {
		failed = append(failed, l.client.Close())
	}
	for _, n := range l.nodes {
		if n.Child() != nil {
			failed = append(failed, n.Child().End(syscall.SIGKILL, endTimeout))
		}
	}
	if l.etcd != nil {
		failed = append(failed, l.etcd.Kill())
	}
	return errors.Join(failed...)
}

// tails are the ends of the nodes' logs.
func (l *lab) tails() string {
	var all strings.Builder
	for _, n := range l.nodes {
		text, err := os.ReadFile(n.Log)
		if err != nil {
			text = []byte(err.Error())
		}
		fmt.Fprintf(&all, "--- the end of %s:\n%s\n", filepath.Base(n.Log), text[max(0, len(text)-maxTail):])
	}
	return all.String()
}

func (l *lab) say(format string, args ...any) {
	// What can't be said is no reason to end.
	_, _ = fmt.Fprintf(l.words, "%s on %s: %s\n", l.figure, l.store.kind, fmt.Sprintf(format, args...))
}

// await waits until something holds; an error of holds is told if it never does.
func (l *lab) await(ctx context.Context, what string, holds func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		yes, err := holds(ctx)
		if yes && err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("in vain: %s: %w", what, errors.Join(context.Cause(ctx), err))
		}
	}
}

func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
