package load

import (
	"context"
	"sync"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
)

// observePause is between two looks at all partitions.
const observePause = 100 * time.Millisecond

// Observer asks again and again what can be read of each partition, as one client
// that remembers the highest epoch it has seen.
type Observer struct {
	direct *direct
	name   string
	h      *history.History

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards epochs
	epochs map[int32]talos.Epoch
}

// StartObserver runs one until Stop. name is how the history knows it.
func StartObserver(ctx context.Context, addresses string, topic talos.TopicName, h *history.History, name string) (*Observer, error) {
	d, err := openDirect(ctx, addresses, topic)
	if err != nil {
		return nil, err
	}
	o := &Observer{direct: d, name: name, h: h, epochs: map[int32]talos.Epoch{}}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o.cancel = cancel
	o.wg.Go(func() { o.run(running) })
	return o, nil
}

// Stop ends it.
func (o *Observer) Stop() error {
	o.cancel()
	o.wg.Wait()
	return o.direct.close()
}

// Epochs returns the newest epoch of each partition that an owner has answered
// with.
func (o *Observer) Epochs() map[int32]talos.Epoch {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make(map[int32]talos.Epoch, len(o.epochs))
	for p, e := range o.epochs {
		all[p] = e
	}
	return all
}

func (o *Observer) run(ctx context.Context) {
	for {
		for partition := range o.direct.topic.Partitions {
			o.look(ctx, partition)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(observePause):
		}
	}
}

func (o *Observer) look(ctx context.Context, partition int32) {
	listed := o.direct.offsets(ctx, partition)
	if listed == nil {
		return
	}
	epoch := talos.Epoch(listed.GetEpoch())
	r := listed.GetRange()
	o.h.Range(o.name, partition, talos.OffsetRange{Start: talos.Offset(r.GetStart()), End: talos.Offset(r.GetEnd())}, epoch)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.epochs[partition] = max(o.epochs[partition], epoch)
}
