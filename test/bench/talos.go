package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/minio"
	"github.com/talos-log/talos/test/process"
)

const (
	// clientTimeout bounds what a client waits for: an answer, or an acknowledgement.
	clientTimeout = time.Minute
	// endTimeout bounds the end of a server.
	endTimeout = time.Minute
	// bufferBytes is more than any window of a leg, so that no client's buffer is
	// what a producer waits for.
	bufferBytes = 256 << 20
)

// talosNode is one node with its etcd in the process, as `talos dev` runs it.
type talosNode struct {
	address string
	pages   string
	child   *process.Child
}

// startTalos runs a node over a store; empty is a folder of its own.
func startTalos(ctx context.Context, folder, store string) (*talosNode, error) {
	root, err := process.Root()
	if err != nil {
		return nil, err
	}
	n := &talosNode{}
	if n.address, err = process.FreeAddress(); err != nil {
		return nil, err
	}
	if n.pages, err = process.FreeAddress(); err != nil {
		return nil, err
	}
	args := []string{"dev", "--data", filepath.Join(folder, "talos"), "--listen", n.address, "--http", n.pages}
	if store != "" {
		args = append(args, "--store", store)
	}
	cmd := exec.Command(filepath.Join(root, "bin", "talos"), args...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+minio.AccessKey, "AWS_SECRET_ACCESS_KEY="+minio.SecretKey)
	n.child, err = launch(cmd, filepath.Join(folder, "talos.log"))
	if err != nil {
		return nil, err
	}
	return n, await(ctx, n.child, filepath.Join(folder, "talos.log"), func(ctx context.Context) error {
		return process.Ready(ctx, n.pages)
	})
}

func (n *talosNode) processes() []int { return []int{n.child.PID()} }

func (n *talosNode) stop() error { return n.child.End(syscall.SIGTERM, endTimeout) }

// talosSystem is a node, and what an acknowledgement of it means. The store's
// processes, if it has any, count as its own.
type talosSystem struct {
	*talosNode
	durability talos.Durability
	store      []int
	// retention is how many bytes of each partition are kept; 0 is all.
	retention int64
}

func (n talosSystem) processes() []int { return append(n.talosNode.processes(), n.store...) }

func (n talosSystem) topic(ctx context.Context, partitions int32) (topic, error) {
	client, err := sdk.Dial(n.address)
	if err != nil {
		return nil, err
	}
	name := talos.TopicName(newName())
	_, err = client.CreateTopic(ctx, name, partitions, talos.TopicConfig{
		Durability: n.durability, RetentionBytes: n.retention,
	})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	t := &talosTopic{node: n.talosNode, name: name, admin: client}
	if n.retention > 0 {
		// Slow consumers are overtaken.
		t.consuming = append(t.consuming, sdk.ConsumerOutOfRange(sdk.OutOfRangeEarliest))
	}
	return t, nil
}

type talosTopic struct {
	node  *talosNode
	name  talos.TopicName
	admin *sdk.Client
	// consuming are options of its consumers.
	consuming []sdk.ConsumerOpt
	closers   closers
}

func (t *talosTopic) sender(ctx context.Context) (loadgen.Sender, error) {
	client, err := sdk.Dial(t.node.address)
	if err != nil {
		return nil, err
	}
	t.closers.add(client.Close)
	p, err := client.NewProducer(
		ctx, t.name, sdk.ProducerBufferBytes(bufferBytes), sdk.ProducerDeliveryTimeout(clientTimeout),
	)
	if err != nil {
		return nil, err
	}
	t.closers.add(func() error { return p.Close(context.WithoutCancel(ctx)) })
	return talosSender{p}, nil
}

type talosSender struct{ *sdk.Producer }

func (s talosSender) Send(ctx context.Context, partition int32, value []byte, done func(error)) error {
	return s.Producer.Send(ctx, partition, talos.Record{Value: value}, func(_ sdk.Delivery, err error) { done(err) })
}

func (t *talosTopic) receiver(ctx context.Context, partitions []int32) (loadgen.Receiver, func() error, error) {
	client, err := sdk.Dial(t.node.address)
	if err != nil {
		return nil, nil, err
	}
	c, err := client.NewConsumer(ctx, t.name, append(slices.Clone(t.consuming), sdk.ConsumerPartitions(partitions...))...)
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return talosReceiver{c}, func() error { return errors.Join(c.Close(), client.Close()) }, nil
}

type talosReceiver struct{ *sdk.Consumer }

func (r talosReceiver) Receive(ctx context.Context, each func([]byte)) error {
	messages, err := r.Poll(ctx)
	for i := range messages {
		each(messages[i].Value)
	}
	return err
}

func (t *talosTopic) close(ctx context.Context) error {
	err := t.closers.close()
	if deleting := t.admin.DeleteTopic(ctx, t.name); deleting != nil {
		err = errors.Join(err, fmt.Errorf("delete %s: %w", t.name, deleting))
	}
	return errors.Join(err, t.admin.Close())
}
