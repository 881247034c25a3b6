package storage

import (
	"context"
	"errors"
	"time"

	"github.com/talos-log/talos/talos"
)

// ID names a segment: a folder, and a name that is unique in it. Neither is a
// path; a store maps them to files or objects as it likes. Both are made of
// [a-zA-Z0-9._-], a folder of several such parts with "/" between them.
type ID struct {
	Folder string
	Name   string
}

// String returns "folder/name", for messages.
func (id ID) String() string { return id.Folder + "/" + id.Name }

// Store keeps segments. All methods may be called concurrently. A context that
// ends makes a call return early, with its outcome unknown.
//
// Failures are wrapped so that errors.Is finds ErrExists, ErrNotFound, ErrDead
// or ErrInvalid where they apply; any other error means that the store could
// not do it, or that whether it did is unknown.
type Store interface {
	// Create makes a new segment that begins with head (at least one byte, durable
	// when Create returns) and returns its only appender, ever, for appends that are
	// as durable as d says, or more. It fails with
	// ErrExists if the id was created before. It returns only when a Recover by
	// anybody, from then on, would stop the appender. After any other failure the
	// segment may exist, now or later, with a part of head or none of it: the
	// caller must not use that id again.
	Create(ctx context.Context, id ID, head []byte, d talos.Durability) (Appender, error)

	// Recover ends a segment that somebody else wrote. When it returns nil, no
	// appender opened earlier can acknowledge another byte, the length is final,
	// and each byte below it is as durable as an acknowledged append. It may be
	// called again, and by several at once; on a sealed segment it is cheap and
	// changes nothing. It fails with ErrNotFound if there is no such segment.
	Recover(ctx context.Context, id ID) (Info, error)

	// Open opens a segment for reading, also while it is written. It fails with
	// ErrNotFound if there is no such segment.
	Open(ctx context.Context, id ID) (Reader, error)

	// List returns the segments and the sub-folders of a folder ("" is the root),
	// each sorted by name. A segment whose Create returned before List was called
	// is in it. A folder that does not exist is empty.
	List(ctx context.Context, folder string) (Listing, error)

	// Remove removes a segment; it is durable when it returns, and removing what
	// is not there succeeds. Folders that became empty may vanish. See also Purger.
	Remove(ctx context.Context, id ID) error

	// Traits says how the store behaves; the answer never changes.
	Traits() Traits
}

// Appender writes one segment. Append must not be called concurrently with
// itself, Seal or Abandon. After any failure it is dead for good.
type Appender interface {
	// Append adds p behind all earlier appends, and calls done exactly once: with
	// nil when p is durable, else with an error (ErrDead if an earlier failure,
	// Recover or Abandon was the reason). Appends may be in flight together; done
	// is called in the order of the appends, one at a time, on a goroutine of the
	// store and never the caller's, and must not block; Append does not wait for
	// it. A done that comes after a Recover by somebody else stands: its bytes are
	// inside of the recovered length. The store keeps p until done is called; the
	// caller must not change it in that time.
	Append(p []byte, done func(error))

	// Seal ends the segment at the end of the acknowledged appends, and waits for
	// those in flight first. It fails with ErrDead if one of them failed.
	Seal(ctx context.Context) error

	// Abandon gives the appender up without sealing. Appends in flight end with
	// ErrDead or with what became of them. It returns when all done functions
	// have been called and nothing is held anymore; calling it again, or after
	// Seal, does nothing.
	Abandon()

	// Roll returns a channel that is closed when the store would have the segment
	// sealed, and a new one begun only when there is something to append: it has
	// fewer replicas than it could have by now, say, or too many segments are open.
	// Nobody has to obey. Nil means that the store never asks.
	Roll() <-chan struct{}
}

// Reader reads one segment. ReadAt may be called concurrently.
type Reader interface {
	// ReadAt reads len(p) bytes at off, like io.ReaderAt: fewer bytes come with
	// io.EOF. What is read of an open segment beyond its acknowledged length means
	// nothing; it is the caller's business to stay below.
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
	// Size returns the length that can be read now; it grows while the segment is
	// open, and is final after a Seal or a Recover that came before the call.
	Size(ctx context.Context) (int64, error)
	// Close frees what the reader holds.
	Close() error
}

// Info says what a store knows of a segment.
type Info struct {
	Name string
	// Size is its length in bytes; of an open segment, possibly not the newest.
	Size int64
	// Sealed is true if the store knows, at no cost, that the length is final;
	// false means that it does not know.
	Sealed bool
}

// Listing is what one folder holds.
type Listing struct {
	Segments []Info
	Folders  []string
}

// Traits are a store's properties that its callers must know.
type Traits struct {
	// IdleClose is the time after which an open segment without appends should be
	// sealed; 0 means never.
	IdleClose time.Duration
	// CommitInterval is the least time from one append of a segment to the next:
	// what comes in between is gathered into one. 0 means that each may be issued at
	// once.
	CommitInterval time.Duration
	// SegmentBytes is the length beyond which a segment can't grow; it must be
	// sealed some way before. 0 means that there is no such length.
	SegmentBytes int64
	// CheckpointAppends is after how many appends a segment should have a checkpoint,
	// however few bytes they have, for each costs whoever reads it as much. 0: only
	// bytes count.
	CheckpointAppends int
	// Chunk says that the bytes of an append are stored in whole only with the chunk
	// that they lie in, of so many bytes: one that is cut short by a crash of the
	// whole store may take those with it that were in its first chunk before. So an
	// append behind which another one follows must end on a multiple of Chunk, and so
	// must the head. 0 means that this store has no chunks.
	Chunk int64
	// OrderedTail is true if bytes become durable in the order of the appends, so
	// that only the last frame of an unsealed segment can be torn. Without it, any
	// append in flight at a crash may be.
	OrderedTail bool
}

// The errors that a caller tells apart.
var (
	// ErrExists: a segment of this id was created before.
	ErrExists = errors.New("storage: segment exists")
	// ErrNotFound: there is no such segment.
	ErrNotFound = errors.New("storage: no such segment")
	// ErrDead: the appender has failed, was recovered by somebody, sealed or given
	// up; what it had acknowledged stands.
	ErrDead = errors.New("storage: appender is dead")
	// ErrInvalid: the id has characters or a form that no store takes.
	ErrInvalid = errors.New("storage: invalid segment id")
)
