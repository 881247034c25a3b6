package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/hdfsbench"
	"github.com/talos-log/talos/test/minio"
)

// lab is what runs while a row is measured: each server starts when it is first
// asked for, and ends with the row. It belongs to one goroutine.
type lab struct {
	plan    Plan
	folder  string
	say     func(format string, args ...any)
	nodes   map[string]*talosNode // by the URL of their store
	nats    map[bool]system
	kafka   map[kafkaKind]system
	hdfs    *hadoop.Cluster
	java    *hdfsbench.Java
	minio   *minio.Server
	closers closers
}

type kafkaKind struct {
	brokers int
	flush   bool
}

// openLab puts everything below a new folder.
func openLab(p Plan, say func(format string, args ...any)) (*lab, error) {
	folder, err := os.MkdirTemp(p.Scratch, "talos-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{
		plan: p, folder: folder, say: say,
		nodes: map[string]*talosNode{}, nats: map[bool]system{}, kafka: map[kafkaKind]system{},
	}
	l.closers.add(func() error { return os.RemoveAll(folder) })
	return l, nil
}

func (l *lab) close() error { return l.closers.close() }

// place makes a folder for one server.
func (l *lab) place(name string) (string, error) {
	return os.MkdirTemp(l.folder, name+"-")
}

// node returns the node over a store; empty is a folder of its own.
func (l *lab) node(ctx context.Context, store string) (*talosNode, error) {
	if n := l.nodes[store]; n != nil {
		return n, nil
	}
	l.say("starting Talos")
	folder, err := l.place("talos")
	if err != nil {
		return nil, err
	}
	n, err := startTalos(ctx, folder, store)
	if err != nil {
		return nil, fmt.Errorf("start Talos: %w", err)
	}
	l.nodes[store] = n
	l.closers.add(n.stop)
	return n, nil
}

func (l *lab) local(ctx context.Context) (system, error) {
	n, err := l.node(ctx, "")
	return talosSystem{talosNode: n, durability: talos.Sync}, err
}

// onHDFS counts the daemons of HDFS as Talos' own.
func (l *lab) onHDFS(durability talos.Durability) func(ctx context.Context) (system, error) {
	return func(ctx context.Context) (system, error) {
		c, err := l.hadoop(ctx)
		if err != nil {
			return nil, err
		}
		store := c.URL() + "/talos"
		if l.plan.Keep {
			// HDFS sets a block aside for each segment that was opened lately: those of all
			// rows would fill a small disk.
			store += "?block-mib=32"
		}
		_, warm := l.nodes[store]
		n, err := l.node(ctx, store)
		if err != nil {
			return nil, err
		}
		s := talosSystem{talosNode: n, durability: durability, store: []int{c.NameNode().Pid()}}
		for _, d := range c.DataNodes() {
			s.store = append(s.store, d.Pid())
		}
		if !warm {
			err = l.warm(ctx, s)
		}
		return s, err
	}
}

func (l *lab) hadoop(ctx context.Context) (*hadoop.Cluster, error) {
	if l.hdfs != nil {
		return l.hdfs, nil
	}
	l.say("starting HDFS with three DataNodes")
	folder, err := l.place("hdfs")
	if err != nil {
		return nil, err
	}
	if l.hdfs, err = hadoop.Start(ctx, hadoop.Config{Folder: folder}); err != nil {
		return nil, err
	}
	l.closers.add(l.hdfs.Kill)
	return l.hdfs, nil
}

// hadoopClient is Hadoop's own client, warm.
func (l *lab) hadoopClient(ctx context.Context) (*hdfsbench.Java, error) {
	if l.java != nil {
		return l.java, nil
	}
	c, err := l.hadoop(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := l.place("java")
	if err != nil {
		return nil, err
	}
	l.say("starting Hadoop's client")
	if l.java, err = hdfsbench.OpenJava(c, folder); err != nil {
		return nil, err
	}
	l.closers.add(l.java.Close)
	_, _, err = l.java.Append(ctx, 8, 1<<10, l.warmJava())
	return l.java, err
}

func (l *lab) jetStream(always bool) func(ctx context.Context) (system, error) {
	return func(ctx context.Context) (system, error) {
		if s := l.nats[always]; s != nil {
			return s, nil
		}
		l.say("starting NATS")
		folder, err := l.place("nats")
		if err != nil {
			return nil, err
		}
		s, err := startNATS(ctx, folder, always)
		if err != nil {
			return nil, fmt.Errorf("start NATS: %w", err)
		}
		l.nats[always] = s
		l.closers.add(s.stop)
		return s, nil
	}
}

func (l *lab) brokers(kind kafkaKind) func(ctx context.Context) (system, error) {
	return func(ctx context.Context) (system, error) {
		if s := l.kafka[kind]; s != nil {
			return s, nil
		}
		l.say("starting Kafka, brokers: %d", kind.brokers)
		folder, err := l.place("kafka")
		if err != nil {
			return nil, err
		}
		s, err := startKafka(ctx, folder, kind.brokers, kind.flush)
		if err != nil {
			return nil, fmt.Errorf("start Kafka: %w", err)
		}
		l.kafka[kind] = s
		l.closers.add(s.stop)
		return s, l.warm(ctx, s)
	}
}

// warm loads a new system whose servers are JVMs, which compile what they run most.
func (l *lab) warm(ctx context.Context, s system) error {
	f, err := openFleet(ctx, s, busy().followed(2), 0)
	if err != nil {
		return err
	}
	_, err = f.leg(ctx, limit{l.warmJava(), l.plan.LegBytes})
	return errors.Join(err, f.close(ctx))
}

// warmJava is how long a JVM works before anything is counted.
func (l *lab) warmJava() time.Duration { return min(8*time.Second, 4*l.plan.Leg) }

// bucket is that of a MinIO server.
const bucket = "bench"

// onS3 is a node whose partitions put at most one object in an interval.
func (l *lab) onS3(ctx context.Context, interval string) (talosSystem, error) {
	if l.minio == nil {
		l.say("starting MinIO")
		m, err := minio.New(l.folder)
		if err != nil {
			return talosSystem{}, err
		}
		l.closers.add(m.Remove)
		if err := errors.Join(m.Start(ctx), m.MakeBucket(ctx, bucket)); err != nil {
			return talosSystem{}, err
		}
		l.minio = m
	}
	u := l.minio.StoreURL(bucket, "commit-"+interval)
	q := u.Query()
	q.Set("commit-interval", interval)
	u.RawQuery = q.Encode()
	n, err := l.node(ctx, u.String())
	return talosSystem{talosNode: n, durability: talos.Sync}, err
}

func (l *lab) disk(context.Context) (runner, error) { return disk{l.folder}, nil }

func (l *lab) synchronous(ctx context.Context) (runner, error) {
	n, err := l.node(ctx, "")
	return synchronous{node: n, folder: filepath.Clean(l.folder)}, err
}
