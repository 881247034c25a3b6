package sdk

import (
	"errors"
	"fmt"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// What a producer does unless it is told otherwise.
const (
	defaultBufferBytes     = 32 << 20
	defaultDeliveryTimeout = 2 * time.Minute
)

// ProducerOpt configures a Producer.
type ProducerOpt func(*producerConfig)

type producerConfig struct {
	codec           batch.Codec
	bufferBytes     int
	deliveryTimeout time.Duration
	maxInFlight     int
	partitioner     Partitioner
}

// ProducerCodec sets how batches are compressed, where that makes them smaller;
// batch.None by default.
func ProducerCodec(codec batch.Codec) ProducerOpt {
	return func(c *producerConfig) { c.codec = codec }
}

// ProducerBufferBytes bounds the records that are taken and not yet done, in
// bytes; 32 MiB by default, at least the node's batch limit. Send waits while
// they are as many. A record counts 256 bytes beyond its own.
func ProducerBufferBytes(n int) ProducerOpt {
	return func(c *producerConfig) { c.bufferBytes = n }
}

// ProducerDeliveryTimeout bounds the time from Send to done; 2 minutes by
// default. A record that is not acknowledged by then fails with Timeout.
func ProducerDeliveryTimeout(d time.Duration) ProducerOpt {
	return func(c *producerConfig) { c.deliveryTimeout = d }
}

// ProducerMaxInFlight bounds the batches of one partition that wait for their
// answer: 1 to 5, 5 by default. Order and exactly-once don't depend on it.
func ProducerMaxInFlight(n int) ProducerOpt {
	return func(c *producerConfig) { c.maxInFlight = n }
}

// ProducerPartitioner sets who chooses the partition of records that are sent with
// PartitionAny; ByKeyHash by default.
func ProducerPartitioner(p Partitioner) ProducerOpt {
	return func(c *producerConfig) { c.partitioner = p }
}

func newProducerConfig(opts []ProducerOpt, node ServerVersion) (producerConfig, error) {
	cfg := producerConfig{
		bufferBytes: max(defaultBufferBytes, node.MaxBatchBytes), deliveryTimeout: defaultDeliveryTimeout,
		maxInFlight: talos.DuplicateWindow, partitioner: ByKeyHash(),
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	var faults []error
	if !cfg.codec.Known() {
		faults = append(faults, fmt.Errorf("compression: unknown %v", cfg.codec))
	}
	if cfg.bufferBytes < node.MaxBatchBytes {
		faults = append(faults, fmt.Errorf("buffer: %d bytes, the least is the node's batch limit, %d", cfg.bufferBytes, node.MaxBatchBytes))
	}
	if cfg.deliveryTimeout <= 0 {
		faults = append(faults, fmt.Errorf("delivery timeout: %v is not positive", cfg.deliveryTimeout))
	}
	if cfg.maxInFlight < 1 || cfg.maxInFlight > talos.DuplicateWindow {
		faults = append(faults, fmt.Errorf("max in flight: %d, want 1 to %d", cfg.maxInFlight, talos.DuplicateWindow))
	}
	if cfg.partitioner == nil {
		faults = append(faults, errors.New("partitioner: it is nil"))
	}
	if len(faults) > 0 {
		return cfg, &talos.Error{Kind: talos.InvalidConfig, Op: "sdk.NewProducer", Cause: errors.Join(faults...)}
	}
	return cfg, nil
}
