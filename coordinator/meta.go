package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talos-log/talos/talos"
)

// Cluster is the identity that all nodes over one KV share. It is made once.
type Cluster struct {
	// ID is a UUID.
	ID string `json:"id"`
	// ProducerBits is 1 to 32767; it stands in every producer id, so that mirrored
	// data of two clusters hardly collides.
	ProducerBits uint16 `json:"producer_bits"`
}

const maxProducerBits = 1<<15 - 1

// maxLostRaces bounds how often one call begins anew because another node's
// transaction came first. Each lost race is somebody's progress.
const maxLostRaces = 1000

// Meta is one node's part in the cluster. Its methods may be called at the same
// time, but Register and Schedule each only by one goroutine.
//
// Invariants:
//  1. An epoch is raised only by the registered node that the partition is assigned
//     to, both as of the transaction that raises it.
//  2. A partition's record changes only against the revision that was read.
//  3. No record exists for a topic without its ids/ key.
//  4. A transaction of unknown outcome is never sent again from here.
//  5. An assignment is changed by the scheduler, under its election, or by the owner
//     that hands over; always against the revision that was read.
type Meta struct {
	kv      KV
	node    Node
	logger  *slog.Logger
	now     func() time.Time
	cluster Cluster

	view *View
	// process tells this Meta's registrations from those of others under the same
	// id; runs counts them, and belongs to Register.
	process string
	runs    int

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the watch, and the guards of registrations

	mu           sync.Mutex    // guards the fields below; never held while waiting
	registration *registration // the newest, held or lost; nil before the first
	unfit        *Unfit        // nil if the node is fit
	closed       bool
}

// Option changes a Meta at Open.
type Option func(*Meta)

// WithClock sets the clock that producer ids are taken from, time.Now otherwise.
func WithClock(now func() time.Time) Option { return func(m *Meta) { m.now = now } }

// Open reads the cluster's identity, or makes it if kv is empty, and begins to
// watch. It does not register. kv must outlive the Meta, which does not close it.
func Open(ctx context.Context, kv KV, node Node, logger *slog.Logger, opts ...Option) (*Meta, error) {
	if err := node.validate(); err != nil {
		return nil, &talos.Error{Kind: talos.InvalidConfig, Op: "coordinator.Open", Cause: err}
	}
	m := &Meta{kv: kv, node: node, logger: logger.With("node", node.ID), now: time.Now, process: uuid.NewString()}
	for _, opt := range opts {
		opt(m)
	}
	cluster, err := m.loadCluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("coordinator.Open: %w", err)
	}
	m.cluster = cluster
	m.view = newView(m.logger)
	m.ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	m.wg.Add(1)
	go m.watchView()
	if err := m.awaitFirst(ctx); err != nil {
		m.Close()
		return nil, fmt.Errorf("coordinator.Open: %w", err)
	}
	return m, nil
}

// Close ends the registration, so that nobody waits for its session's end, and
// returns when nothing runs any more: within releaseTimeout, also without a KV.
func (m *Meta) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.wg.Wait()
}

// Cluster returns the cluster's identity.
func (m *Meta) Cluster() Cluster { return m.cluster }

func (m *Meta) loadCluster(ctx context.Context) (Cluster, error) {
	var cluster Cluster
	err := m.race(func() (bool, error) {
		e, err := m.load(ctx, clusterKey)
		if err != nil {
			return false, err
		}
		if e.Revision != 0 {
			cluster, err = decodeCluster(e)
			return true, err
		}
		cluster = newCluster()
		value, err := encode(clusterKey, cluster)
		if err != nil {
			return false, err
		}
		return m.commit(ctx, []Cond{{Key: clusterKey}}, []Op{Put(clusterKey, value)})
	})
	return cluster, err
}

func newCluster() Cluster {
	var random [2]byte
	rand.Read(random[:]) // never fails
	bits := binary.BigEndian.Uint16(random[:])%maxProducerBits + 1
	return Cluster{ID: uuid.NewString(), ProducerBits: bits}
}

// race repeats a read and the transaction that rests on it, until the
// transaction applies (or nothing is left to do): done.
func (m *Meta) race(attempt func() (done bool, err error)) error {
	for range maxLostRaces {
		if done, err := attempt(); done || err != nil {
			return err
		}
	}
	return &talos.Error{
		Kind: talos.MetaUnavailable, Op: "coordinator.race",
		Detail: fmt.Sprintf("others changed the same keys %d times in a row", maxLostRaces),
	}
}

// load reads one key.
func (m *Meta) load(ctx context.Context, key string) (Entry, error) {
	entries, err := m.kv.Load(ctx, key)
	if err != nil {
		return Entry{}, err
	}
	return entries[0], nil
}

// commit tells whether the transaction was applied.
func (m *Meta) commit(ctx context.Context, conds []Cond, ops []Op) (bool, error) {
	revision, err := m.kv.Commit(ctx, conds, ops)
	return revision != 0, err
}
