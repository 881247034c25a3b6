package local

import (
	"context"
	"errors"
	"io"

	"github.com/talos-log/talos/storage"
)

type reader struct {
	id   storage.ID
	file File
}

// ReadAt implements storage.Reader.
func (r reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, failure("local.ReadAt", r.id.String(), err)
	}
	n, err := r.file.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	return n, failure("local.ReadAt", r.id.String(), err)
}

// Size implements storage.Reader.
func (r reader) Size(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, failure("local.Size", r.id.String(), err)
	}
	n, err := r.file.Size()
	return n, failure("local.Size", r.id.String(), err)
}

// Close implements storage.Reader.
func (r reader) Close() error {
	return failure("local.Close", r.id.String(), r.file.Close())
}
