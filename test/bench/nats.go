package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	natsclient "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/test/process"
)

const (
	// natsPending is how many records a producer may have unacknowledged: more than
	// any window of a leg.
	natsPending = 1 << 16
	// natsPull is how many messages a consumer asks for at a time. It is what makes
	// the client fastest here; its own default is 500.
	natsPull = 4096
	// natsBuffer is how many messages wait for a consumer, beyond those.
	natsBuffer = 1024
)

// natsServer is one JetStream server with its store on disk. A partition is a stream
// of its own, since a stream has one order, and one lock.
type natsServer struct {
	address string
	child   *process.Child
}

// startNATS runs a server. With always each message is synced before it is
// acknowledged; else, as is the default, every two minutes.
func startNATS(ctx context.Context, folder string, always bool) (*natsServer, error) {
	binary, err := process.Tool("nats-server")
	if err != nil {
		return nil, err
	}
	n := &natsServer{}
	if n.address, err = process.FreeAddress(); err != nil {
		return nil, err
	}
	interval := ""
	if always {
		interval = "sync_interval: always"
	}
	settings := fmt.Sprintf("listen: %q\njetstream {\n  store_dir: %q\n  max_file_store: 20GB\n  %s\n}\n",
		n.address, filepath.Join(folder, "nats"), interval)
	file, log := filepath.Join(folder, "nats.conf"), filepath.Join(folder, "nats.log")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	if n.child, err = launch(exec.Command(binary, "-c", file), log); err != nil {
		return nil, err
	}
	return n, await(ctx, n.child, log, func(ctx context.Context) error {
		conn, js, err := n.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = js.AccountInfo(ctx)
		return err
	})
}

func (n *natsServer) connect(options ...jetstream.JetStreamOpt) (*natsclient.Conn, jetstream.JetStream, error) {
	conn, err := natsclient.Connect("nats://" + n.address)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, options...)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, js, nil
}

func (n *natsServer) processes() []int { return []int{n.child.PID()} }

func (n *natsServer) stop() error { return n.child.End(syscall.SIGTERM, endTimeout) }

func (n *natsServer) topic(ctx context.Context, partitions int32) (topic, error) {
	conn, js, err := n.connect()
	if err != nil {
		return nil, err
	}
	t := &natsTopic{server: n, conn: conn, js: js, name: newName()}
	for p := range partitions {
		subject := t.stream(p)
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: subject, Subjects: []string{subject}, Storage: jetstream.FileStorage,
		})
		if err != nil {
			return nil, errors.Join(err, t.close(ctx))
		}
		t.partitions++
	}
	return t, nil
}

type natsTopic struct {
	server     *natsServer
	conn       *natsclient.Conn
	js         jetstream.JetStream
	name       string
	partitions int32
	closers    closers
}

// stream is the name of a partition's stream, and of its only subject.
func (t *natsTopic) stream(partition int32) string { return fmt.Sprintf("%s-%d", t.name, partition) }

// natsSender publishes asynchronously. Answers come by one goroutine of the client.
type natsSender struct {
	js       jetstream.JetStream
	subjects []string

	pending sync.WaitGroup
	mu      sync.Mutex // guards waiting
	waiting map[*natsclient.Msg]func(error)
}

func (t *natsTopic) sender(context.Context) (loadgen.Sender, error) {
	s := &natsSender{waiting: map[*natsclient.Msg]func(error){}}
	for p := range t.partitions {
		s.subjects = append(s.subjects, t.stream(p))
	}
	conn, js, err := t.server.connect(
		jetstream.WithPublishAsyncMaxPending(natsPending), jetstream.WithPublishAsyncTimeout(clientTimeout),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *natsclient.Msg, _ *jetstream.PubAck) { s.answered(m, nil) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *natsclient.Msg, err error) { s.answered(m, err) }),
	)
	if err != nil {
		return nil, err
	}
	s.js = js
	t.closers.add(func() error { conn.Close(); return nil })
	return s, nil
}

func (s *natsSender) Send(_ context.Context, partition int32, value []byte, done func(error)) error {
	m := &natsclient.Msg{Subject: s.subjects[partition], Data: value}
	s.pending.Add(1)
	s.mu.Lock()
	s.waiting[m] = done
	s.mu.Unlock()
	_, err := s.js.PublishMsgAsync(m)
	if err != nil {
		s.take(m)
	}
	return err
}

// take removes what waits for an answer, if nobody has yet.
func (s *natsSender) take(m *natsclient.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[m] != nil {
		delete(s.waiting, m)
		s.pending.Done()
	}
}

func (s *natsSender) answered(m *natsclient.Msg, err error) {
	s.mu.Lock()
	done := s.waiting[m]
	s.mu.Unlock()
	if done != nil {
		done(err)
		s.take(m)
	}
}

// Flush waits for the answers themselves: the client says that all is complete before
// it has told the last one. Each comes within the client's timeout.
func (s *natsSender) Flush(context.Context) error {
	s.pending.Wait()
	return nil
}

// natsReceiver gathers what the consumers of its streams are given.
type natsReceiver struct {
	values chan []byte
	ended  chan struct{}
}

func (t *natsTopic) receiver(ctx context.Context, partitions []int32) (loadgen.Receiver, func() error, error) {
	conn, js, err := t.server.connect()
	if err != nil {
		return nil, nil, err
	}
	r := &natsReceiver{values: make(chan []byte, natsBuffer), ended: make(chan struct{})}
	var opened closers
	opened.add(func() error { conn.Close(); return nil })
	for _, p := range partitions {
		c, err := js.OrderedConsumer(ctx, t.stream(p), jetstream.OrderedConsumerConfig{})
		if err != nil {
			return nil, nil, errors.Join(err, opened.close())
		}
		running, err := c.Consume(func(m jetstream.Msg) {
			select {
			case r.values <- m.Data():
			case <-r.ended:
			}
		}, jetstream.PullMaxMessages(natsPull))
		if err != nil {
			return nil, nil, errors.Join(err, opened.close())
		}
		opened.add(func() error { running.Stop(); <-running.Closed(); return nil })
	}
	return r, func() error {
		close(r.ended)
		return opened.close()
	}, nil
}

func (r *natsReceiver) Receive(ctx context.Context, each func([]byte)) error {
	select {
	case v := <-r.values:
		each(v)
	case <-ctx.Done():
		return ctx.Err()
	}
	for range natsBuffer {
		select {
		case v := <-r.values:
			each(v)
		default:
			return nil
		}
	}
	return nil
}

func (t *natsTopic) close(ctx context.Context) error {
	err := t.closers.close()
	for p := range t.partitions {
		err = errors.Join(err, t.js.DeleteStream(ctx, t.stream(p)))
	}
	t.conn.Close()
	return err
}
