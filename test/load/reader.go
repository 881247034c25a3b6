package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
)

// Reader reads a topic from its first record on into a history.
type Reader struct {
	// Expected tells of an error whether Follow may meet it, and go on; nil means
	// that it may meet none. It is set before Follow.
	Expected func(error) bool

	name     string
	history  *history.History
	client   *sdk.Client
	consumer *sdk.Consumer

	mu       sync.Mutex // guards position
	position map[int32]talos.Offset
}

// OpenReader connects a reader. name is how the history knows it.
func OpenReader(ctx context.Context, address string, topic talos.TopicName, h *history.History, name string) (*Reader, error) {
	client, err := sdk.Dial(address)
	if err != nil {
		return nil, err
	}
	consumer, err := client.NewConsumer(ctx, topic, sdk.ConsumerStart(sdk.Earliest))
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &Reader{name: name, history: h, client: client, consumer: consumer, position: map[int32]talos.Offset{}}, nil
}

// Close frees what the reader holds. Nothing may run.
func (r *Reader) Close() error { return errors.Join(r.consumer.Close(), r.client.Close()) }

// ReadAll reads all there is of a topic with a reader of its own.
func ReadAll(ctx context.Context, address string, topic talos.TopicName, h *history.History, name string) error {
	reader, err := OpenReader(ctx, address, topic, h, name)
	if err != nil {
		return err
	}
	return errors.Join(reader.ReadToEnd(ctx), reader.Close())
}

// ReadToEnd reads all that there was when the reader was opened.
func (r *Reader) ReadToEnd(ctx context.Context) error {
	ends := map[int32]talos.Offset{}
	for _, p := range r.consumer.Partitions() {
		ends[p] = r.consumer.End(p)
	}
	for !r.Reached(ends) {
		if err := r.poll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Follow reads until ctx ends, which is no error.
func (r *Reader) Follow(ctx context.Context) error {
	for {
		err := r.poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && (r.Expected == nil || !r.Expected(err)) {
			return err
		}
	}
}

// Reached tells whether the reader got everything below the ends.
func (r *Reader) Reached(ends map[int32]talos.Offset) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for partition, end := range ends {
		if r.position[partition] < end {
			return false
		}
	}
	return true
}

// Positions returns the offset behind the last record of each partition.
func (r *Reader) Positions() map[int32]talos.Offset {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.position)
}

func (r *Reader) poll(ctx context.Context) error {
	messages, err := r.consumer.Poll(ctx)
	if err != nil {
		return fmt.Errorf("reader %s: %w", r.name, err)
	}
	for i := range messages {
		m := &messages[i]
		id, err := IDOf(&m.Record)
		if err != nil {
			return fmt.Errorf("reader %s, partition %d, offset %d: %w", r.name, m.Partition, m.Offset, err)
		}
		r.history.Read(r.name, m.Partition, m.Offset, id, history.DigestOf(&m.Record))
		r.mu.Lock()
		r.position[m.Partition] = m.Offset + 1
		r.mu.Unlock()
	}
	return nil
}
