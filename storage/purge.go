package storage

import "context"

// Purger is implemented by stores that keep something of segments which were
// removed, so that their appenders stay stopped and their names stay taken.
type Purger interface {
	// Purge drops what is kept of the removed segments of a folder and of those below
	// it. The caller promises that nothing is created there anymore, and that no
	// acknowledgement of an appender that is still alive would matter. Segments that
	// were not removed stay. It may be repeated.
	Purge(ctx context.Context, folder string) error
}

// Purge purges a folder of a store; one that keeps nothing has nothing to do.
func Purge(ctx context.Context, s Store, folder string) error {
	if p, ok := s.(Purger); ok {
		return p.Purge(ctx, folder)
	}
	return nil
}
