package etcd

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/talos-log/talos/coordinator"
)

// Watch implements coordinator.KV. etcd's client reconnects by itself and goes on
// where it was; if that was compacted away, everything is listed again.
func (kv *KV) Watch(ctx context.Context, prefix string, take func(coordinator.Update)) error {
	const op = "etcd.Watch"
	for {
		err := kv.watchOnce(ctx, prefix, take)
		if ctx.Err() != nil || !errors.Is(err, rpctypes.ErrCompacted) {
			return wrap(ctx, op, err)
		}
	}
}

// watchOnce lists, and watches from there until something is wrong.
func (kv *KV) watchOnce(ctx context.Context, prefix string, take func(coordinator.Update)) error {
	ctx, cancel := context.WithCancel(ctx) // ends the watch
	defer cancel()
	call, cancelCall := context.WithTimeout(ctx, callTimeout)
	defer cancelCall()
	resp, err := kv.client.Get(call, prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	first := coordinator.Update{Snapshot: true, Revision: resp.Header.Revision}
	for _, found := range resp.Kvs {
		first.Entries = append(first.Entries, entry(found))
	}
	take(first)
	// All events of a transaction come at once.
	watch := kv.client.Watch(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithPrefix(), clientv3.WithRev(resp.Header.Revision+1))
	for events := range watch {
		if err := events.Err(); err != nil {
			return err
		}
		if len(events.Events) > 0 {
			take(changes(events.Events))
		}
	}
	return errors.New("the watch ended")
}

// changes keeps the last state of each key.
func changes(events []*clientv3.Event) coordinator.Update {
	var u coordinator.Update
	places := make(map[string]int, len(events))
	for _, e := range events {
		u.Revision = max(u.Revision, e.Kv.ModRevision)
		now := entry(e.Kv)
		if e.Type == mvccpb.DELETE {
			now = coordinator.Entry{Key: now.Key}
		}
		if i, seen := places[now.Key]; seen {
			u.Entries[i] = now
			continue
		}
		places[now.Key] = len(u.Entries)
		u.Entries = append(u.Entries, now)
	}
	return u
}

func entry(kv *mvccpb.KeyValue) coordinator.Entry {
	return coordinator.Entry{Key: string(kv.Key), Value: kv.Value, Revision: kv.ModRevision}
}
