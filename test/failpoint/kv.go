package failpoint

import (
	"context"
	"slices"
	"strings"

	"github.com/talos-log/talos/coordinator"
)

// records is the part of a key that all partition records have in common.
const records = "/records/"

// KV returns a KV that reports what happens to partition records to the trap,
// and otherwise is inner.
func KV(inner coordinator.KV, trap *Trap) coordinator.KV {
	return &kv{KV: inner, trap: trap}
}

type kv struct {
	coordinator.KV
	trap *Trap
}

func (k *kv) Load(ctx context.Context, keys ...string) ([]coordinator.Entry, error) {
	if !slices.ContainsFunc(keys, isRecord) {
		return k.KV.Load(ctx, keys...)
	}
	step := k.trap.begin(Load)
	entries, err := k.KV.Load(ctx, keys...)
	step.at(After)
	return entries, err
}

func (k *kv) Commit(ctx context.Context, conds []coordinator.Cond, ops []coordinator.Op) (int64, error) {
	if !slices.ContainsFunc(ops, putsRecord) {
		return k.KV.Commit(ctx, conds, ops)
	}
	// A raise rests on the node's claim as well, a swap on the record alone.
	op := Raise
	if !slices.ContainsFunc(conds, func(c coordinator.Cond) bool { return !isRecord(c.Key) }) {
		op = Swap
	}
	step := k.trap.begin(op)
	revision, err := k.KV.Commit(ctx, conds, ops)
	step.at(After)
	return revision, err
}

func isRecord(key string) bool { return strings.Contains(key, records) }

func putsRecord(op coordinator.Op) bool { return op.Kind == coordinator.OpPut && isRecord(op.Key) }
