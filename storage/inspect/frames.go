package inspect

import (
	"context"
	"fmt"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
)

// Frames calls fn for each frame of a segment, and fails with CorruptSegment at
// the first one that is not as it was written.
func Frames(ctx context.Context, store storage.Store, e Entry, fn func(segment.Frame) error) error {
	reader, err := store.Open(ctx, e.ID())
	if err != nil {
		return fmt.Errorf("open %v: %w", e.ID(), err)
	}
	defer closeReader(reader)
	size, err := reader.Size(ctx)
	if err != nil {
		return fmt.Errorf("size of %v: %w", e.ID(), err)
	}
	return segment.Scan(ctx, reader, size, e.ID().String(), fn)
}
