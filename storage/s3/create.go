package s3

import (
	"context"
	"errors"
	"fmt"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Create implements storage.Store: when it returns, object 0 is put. Every append
// is durable, whatever is asked for.
func (s *Store) Create(ctx context.Context, id storage.ID, head []byte, _ talos.Durability) (storage.Appender, error) {
	if err := check(ctx, "create", id); err != nil {
		return nil, err
	}
	if len(head) == 0 {
		return nil, fmt.Errorf("s3: create %s: %w: an empty head", id, storage.ErrInvalid)
	}
	if err := s.create(ctx, id, head); err != nil {
		return nil, s.explain(ctx, "create", id.String(), err)
	}
	return newAppender(s, id, int64(len(head))), nil
}

// create writes the index entry first: without it nobody finds the head.
func (s *Store) create(ctx context.Context, id storage.ID, head []byte) error {
	if err := s.bucket.overwrite(ctx, s.open(id)); err != nil {
		return err
	}
	err := s.bucket.create(ctx, s.chunk(id, 0), head)
	if errors.Is(err, errTaken) || errors.Is(err, errConflict) {
		return s.taken(ctx, id, err)
	}
	return err
}

// taken looks at what is there already: another one's segment, or what a removed
// one left, which is no segment to list. After a conflict it may be nothing.
func (s *Store) taken(ctx context.Context, id storage.ID, cause error) error {
	size, err := s.bucket.size(ctx, s.chunk(id, 0))
	switch {
	case err != nil:
		return err
	case size < 0:
		return cause
	case size == 0:
		err = s.bucket.remove(ctx, s.open(id))
	}
	return errors.Join(fmt.Errorf("%w: %w", storage.ErrExists, cause), err)
}
