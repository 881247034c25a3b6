package leases

import (
	"context"

	"github.com/talos-log/talos/coordinator"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// checkStore reads the partition as a next owner would, and compares.
func (r *run) checkStore() {
	ctx := context.Background()
	meta, err := coordinator.Open(ctx, r.kv.Handle(), coordinator.Node{ID: "final", Address: "final:1"}, quiet)
	if err != nil {
		r.breaks("the end can't be looked at: %w", err)
		return
	}
	defer meta.Close()
	id := talos.PartitionID{Topic: r.topic.ID}
	rec, err := meta.Record(id).Read(ctx)
	if err != nil {
		r.breaks("the record can't be read: %w", err)
		return
	}
	log, err := partition.Open(ctx, partition.Config{
		Cluster: meta.Cluster().ID, Topic: r.topic, Store: r.store, Records: &last{rec}, Logger: quiet,
	})
	if err != nil {
		r.breaks("nobody can open the partition in the end: %w", err)
		return
	}
	defer log.Close(ctx) //nolint:errcheck // it was only read
	found := make(map[string]talos.Offset)
	for next := log.Range().Start; next < log.Range().End; {
		read, err := log.Read(ctx, next, 1<<16)
		if err != nil {
			r.breaks("offset %d can't be read: %w", next, err)
			return
		}
		for one, err := range batch.All(read) {
			if err != nil {
				r.breaks("offset %d: %w", next, err)
				return
			}
			for record, err := range batch.Records(one.Bytes, 1<<20) {
				if err != nil {
					r.breaks("offset %d: %w", next, err)
					return
				}
				if at, twice := found[string(record.Value)]; twice {
					r.breaks("%s is at %d and at %d", record.Value, at, record.Offset)
				}
				found[string(record.Value)] = record.Offset
				next = record.Offset + 1
			}
		}
	}
	for value, offset := range r.acked {
		if at, there := found[value]; !there || at != offset {
			r.breaks("%s was acknowledged at %d; in the end it is there: %v, at %d", value, offset, there, at)
		}
	}
}

// last is a record that nobody else changes any more.
type last struct{ rec talos.PartitionRecord }

// Raise implements partition.Records.
func (l *last) Raise(context.Context) (talos.PartitionRecord, error) {
	l.rec.Epoch++
	return l.rec, nil
}

// Read implements partition.Records.
func (l *last) Read(context.Context) (talos.PartitionRecord, error) { return l.rec, nil }

// Swap implements partition.Records.
func (l *last) Swap(_ context.Context, _, next talos.PartitionRecord) error {
	l.rec = next
	return nil
}
