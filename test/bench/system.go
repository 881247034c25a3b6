package bench

import (
	"context"

	"github.com/talos-log/talos/internal/loadgen"
)

// system is one whose servers run.
type system interface {
	// topic makes an empty one.
	topic(ctx context.Context, partitions int32) (topic, error)
	// processes are the servers whose cost is counted.
	processes() []int
	stop() error
}

// topic is one of a system's, with clients of its own.
type topic interface {
	// sender opens a producer.
	sender(ctx context.Context) (loadgen.Sender, error)
	// receiver opens a consumer of these partitions from their first record on. end
	// closes it.
	receiver(ctx context.Context, partitions []int32) (r loadgen.Receiver, end func() error, err error)
	// close ends the clients, and deletes the topic.
	close(ctx context.Context) error
}
