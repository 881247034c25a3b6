package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.uber.org/zap"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/talos"
)

const (
	// callTimeout bounds every call but Watch.
	callTimeout = 5 * time.Second
	// pingInterval and pingTimeout find a dead connection under a call or a watch.
	pingInterval = 5 * time.Second
	pingTimeout  = 3 * time.Second

	// DefaultDialTimeout is how long Check waits for etcd.
	DefaultDialTimeout = 10 * time.Second
	// DefaultSessionTTL is how long a session outlives its process.
	DefaultSessionTTL = 10 * time.Second
)

// Config says how to reach etcd.
type Config struct {
	// Endpoints are URLs or host:port of the members.
	Endpoints []string
	// SessionTTL is how long a session outlives its process, in whole seconds; 0
	// means DefaultSessionTTL. etcd may grant more.
	SessionTTL time.Duration
	// TLS is the TLS of the connections; nil means none.
	TLS *tls.Config
	// User and Password are for an etcd that has authentication on.
	User, Password string
	// Prefix stands before each key, so that several clusters can share an etcd.
	Prefix string
	// DialTimeout is how long Open waits for etcd to take the password, and Check
	// for an answer; 0 means DefaultDialTimeout.
	DialTimeout time.Duration
}

// KV is a client of etcd. All methods may be called at the same time.
type KV struct {
	client *clientv3.Client
	ttl    time.Duration
	now    func() time.Duration // runs also while the machine is suspended

	cfg         Config
	dialTimeout time.Duration

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // the keepers of sessions
}

// Open makes a client. Without a password it does not wait for a connection: the
// first call does.
func Open(cfg Config) (*KV, error) {
	return open(cfg, bootTime)
}

func open(cfg Config, now func() time.Duration) (*KV, error) {
	ttl := cfg.SessionTTL
	if ttl == 0 {
		ttl = DefaultSessionTTL
	}
	if ttl < time.Second {
		return nil, &talos.Error{
			Kind: talos.InvalidConfig, Op: "etcd.Open",
			Detail: fmt.Sprintf("the session's time to live is %v, the least is 1s", ttl),
		}
	}
	dialTimeout := cfg.DialTimeout
	if dialTimeout == 0 {
		dialTimeout = DefaultDialTimeout
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		DialTimeout:          dialTimeout,
		TLS:                  cfg.TLS,
		Username:             cfg.User,
		Password:             cfg.Password,
		DialKeepAliveTime:    pingInterval,
		DialKeepAliveTimeout: pingTimeout,
		Logger:               zap.NewNop(), // every error is returned
	})
	if err != nil {
		return nil, openFault(cfg, err)
	}
	if cfg.Prefix != "" {
		client.KV = namespace.NewKV(client.KV, cfg.Prefix)
		client.Watcher = namespace.NewWatcher(client.Watcher, cfg.Prefix)
	}
	kv := &KV{client: client, ttl: ttl, now: now, dialTimeout: dialTimeout, cfg: cfg}
	kv.ctx, kv.cancel = context.WithCancel(context.Background())
	return kv, nil
}

// Close ends the connection. Sessions that are still open are not told to etcd:
// they end when their time to live is over, as after a crash.
func (kv *KV) Close() error {
	kv.cancel()
	kv.wg.Wait()
	if err := kv.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("etcd.Close: %w", err)
	}
	return nil
}

// Load implements coordinator.KV.
func (kv *KV) Load(ctx context.Context, keys ...string) ([]coordinator.Entry, error) {
	const op = "etcd.Load"
	gets := make([]clientv3.Op, 0, len(keys))
	for _, key := range keys {
		gets = append(gets, clientv3.OpGet(key))
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := kv.client.Txn(call).Then(gets...).Commit()
	if err != nil {
		return nil, wrap(ctx, op, err)
	}
	entries := make([]coordinator.Entry, 0, len(keys))
	for i, key := range keys {
		e := coordinator.Entry{Key: key}
		for _, found := range resp.Responses[i].GetResponseRange().Kvs {
			e.Value, e.Revision = found.Value, found.ModRevision
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// List implements coordinator.KV.
func (kv *KV) List(ctx context.Context, prefix string) ([]coordinator.Entry, error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := kv.client.Get(call, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, wrap(ctx, "etcd.List", err)
	}
	entries := make([]coordinator.Entry, 0, len(resp.Kvs))
	for _, found := range resp.Kvs {
		entries = append(entries, entry(found))
	}
	return entries, nil
}

// Commit implements coordinator.KV. etcd's client sends a transaction with
// writes again only if it never left this process.
func (kv *KV) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	const op = "etcd.Commit"
	compares := make([]clientv3.Cmp, 0, len(conds))
	for _, c := range conds {
		compares = append(compares, compare(c))
	}
	writes := make([]clientv3.Op, 0, len(ops))
	for _, o := range ops {
		writes = append(writes, write(o))
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := kv.client.Txn(call).If(compares...).Then(writes...).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return 0, fmt.Errorf("%s: %w", op, coordinator.ErrSessionEnded)
	case err != nil:
		return 0, wrap(ctx, op, err)
	case !resp.Succeeded:
		return 0, nil
	}
	return resp.Header.Revision, nil
}

func compare(c coordinator.Cond) clientv3.Cmp {
	if c.Prefix {
		return clientv3.Compare(clientv3.ModRevision(c.Key).WithPrefix(), "<", c.Revision+1)
	}
	return clientv3.Compare(clientv3.ModRevision(c.Key), "=", c.Revision)
}

func write(o coordinator.Op) clientv3.Op {
	switch o.Kind {
	case coordinator.OpDelete:
		return clientv3.OpDelete(o.Key)
	case coordinator.OpDeletePrefix:
		return clientv3.OpDelete(o.Key, clientv3.WithPrefix())
	default:
		return clientv3.OpPut(o.Key, string(o.Value), clientv3.WithLease(clientv3.LeaseID(o.Session)))
	}
}

// wrap tells the end of the caller's context from trouble with etcd.
func wrap(ctx context.Context, op string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return &talos.Error{Kind: talos.KindOf(ended), Op: op, Cause: ended}
	}
	return &talos.Error{Kind: talos.MetaUnavailable, Op: op, Cause: err}
}
