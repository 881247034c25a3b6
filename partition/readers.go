package partition

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/talos-log/talos/storage"
)

const (
	// maxReaders bounds the readers of segments that are kept open, but for those
	// in use.
	maxReaders = 128
	// readerIdle is how long a reader is kept open for the next one that asks.
	readerIdle = 30 * time.Second
)

// readers keeps segments open for a while, since opening one is dear in a remote
// store. Each is opened once for all that want it at a time.
type readers struct {
	// workers are those who close what nobody has used for a while.
	workers *sync.WaitGroup

	mu     sync.Mutex // guards the fields below, and those of all kept
	closed bool
	byID   *lru[storage.ID, *keptReader]
}

// keptReader is a reader that is open, or is being opened.
type keptReader struct {
	id   storage.ID
	once sync.Once
	// reader and err are written by once.
	reader storage.Reader
	err    error
	users  int
	// gone tells that it is not in the map anymore: the last user closes it.
	gone bool
	// idle closes it; nil while somebody uses it.
	idle *time.Timer
}

func newReaders(workers *sync.WaitGroup) *readers {
	r := &readers{workers: workers, byID: newLRU[storage.ID, *keptReader](maxReaders)}
	r.byID.evicted = func(k *keptReader) {
		k.gone = true
		if k.idle != nil {
			k.idle.Stop()
			k.idle = nil
		}
		if k.users == 0 && k.reader != nil {
			r.workers.Go(func() { closeReader(k.reader) })
		}
	}
	return r
}

// readAt reads as io.ReaderAt does. A reader that was open already may have
// become useless, by the death of a node of the store, say: what fails is read
// once more by a new one.
func (r *readers) readAt(ctx context.Context, store storage.Store, id storage.ID, p []byte, off int64) (int, error) {
	n, fresh, err := r.try(ctx, store, id, p, off)
	if err != nil && !fresh && ctx.Err() == nil {
		n, _, err = r.try(ctx, store, id, p, off)
	}
	return n, err
}

func (r *readers) try(ctx context.Context, store storage.Store, id storage.ID, p []byte, off int64) (n int, fresh bool, err error) {
	k := r.acquire(id)
	defer func() { r.release(k, err != nil) }()
	k.once.Do(func() {
		fresh = true
		k.reader, k.err = store.Open(ctx, id)
	})
	if k.err != nil {
		return 0, fresh, fmt.Errorf("open %v: %w", id, k.err)
	}
	n, err = k.reader.ReadAt(ctx, p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, fresh, err
}

func (r *readers) acquire(id storage.ID) *keptReader {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.byID.get(id)
	if !ok {
		k = &keptReader{id: id}
		if r.closed {
			k.gone = true
		} else {
			r.byID.put(id, k, 1)
		}
	}
	k.users++
	if k.idle != nil {
		k.idle.Stop()
		k.idle = nil
	}
	return k
}

// release gives a reader back; one that failed is not used again.
func (r *readers) release(k *keptReader, failed bool) {
	r.mu.Lock()
	k.users--
	if now, ok := r.byID.byKey[k.id]; failed && ok && entryOf[storage.ID, *keptReader](now).value == k {
		k.users++ // so that it is closed below, and not by the eviction
		r.byID.remove(k.id)
		k.users--
	}
	unused := k.users == 0
	if unused && !k.gone {
		k.idle = time.AfterFunc(readerIdle, func() { r.expire(k) })
	}
	closeNow := unused && k.gone && k.reader != nil
	r.mu.Unlock()
	if closeNow {
		closeReader(k.reader)
	}
}

// expire closes a reader that nobody has used for a while.
func (r *readers) expire(k *keptReader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k.users == 0 && !k.gone {
		r.byID.remove(k.id)
	}
}

func (r *readers) forget(id storage.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID.remove(id)
}

// close closes all readers but those in use, which their users close.
func (r *readers) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.byID.removeIf(func(storage.ID) bool { return true })
}

// closeReader closes what was only read: there is nothing that a failure could
// have lost.
func closeReader(r storage.Reader) {
	_ = r.Close()
}
