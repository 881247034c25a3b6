package local

import (
	"context"
	"fmt"
	"sync"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/internal/serial"
)

// appender writes one file.
//
//  1. A group is written only if dead was false when it was taken.
//  2. Whoever sets dead waits for the group in hand before the file is closed,
//     and so before the lock is free.
//
// So once release has returned nothing more is written or acknowledged.
type appender struct {
	id      storage.ID
	file    File
	queue   *serial.Queue[pending]
	release func() // closes the file and forgets the appender, once

	end int64 // where the next append goes; owned by the queue's handler

	mu   sync.Mutex // guards the fields below
	dead bool
}

type pending struct {
	p    []byte
	done func(error)
}

// newAppender takes over a locked file that ends at end. forget is called when
// it has been closed.
func newAppender(id storage.ID, file File, end int64, forget func(*appender)) *appender {
	a := &appender{id: id, file: file, end: end}
	a.queue = serial.New(a.commit)
	a.release = sync.OnceFunc(func() {
		// What was acknowledged is synced, and the descriptor is free even if
		// closing it fails.
		_ = file.Close()
		forget(a)
	})
	return a
}

// Append implements storage.Appender. The caller bounds how many bytes are in
// flight; the appender takes everything.
func (a *appender) Append(p []byte, done func(error)) {
	a.queue.Put(pending{p, done})
}

// commit makes a group of appends durable with one fdatasync.
func (a *appender) commit(group []pending) {
	var err error
	if a.isDead() {
		err = storage.ErrDead
	} else if err = a.write(group); err != nil {
		err = failure("local.Append", a.id.String(), err)
		a.kill()
		a.release()
	}
	for _, g := range group {
		g.done(err)
		if err != nil {
			err = storage.ErrDead // only the first append gets the reason
		}
	}
}

func (a *appender) write(group []pending) error {
	for _, g := range group {
		if _, err := a.file.WriteAt(g.p, a.end); err != nil {
			return err
		}
		a.end += int64(len(g.p))
	}
	return a.file.Datasync()
}

// Seal implements storage.Appender. The file keeps no mark of it: that nobody
// has the lock is all that a Recover asks for.
func (a *appender) Seal(ctx context.Context) error {
	if err := a.queue.Wait(ctx); err != nil {
		return failure("local.Seal", a.id.String(), err)
	}
	if wasDead := a.kill(); wasDead {
		return fmt.Errorf("local.Seal %s: %w", a.id, storage.ErrDead)
	}
	a.release()
	return nil
}

// Roll implements storage.Appender: it never asks.
func (*appender) Roll() <-chan struct{} { return nil }

// Abandon implements storage.Appender.
func (a *appender) Abandon() {
	// The background context never ends, so the one error can't come.
	_ = a.stop(context.Background())
}

// stop kills the appender. When it returns nil, every done function of the
// appends until now has been called and the lock is free.
func (a *appender) stop(ctx context.Context) error {
	a.kill()
	if err := a.queue.Wait(ctx); err != nil {
		return err
	}
	a.release()
	return nil
}

// kill makes sure that no further group is written, and tells whether that was
// so before.
func (a *appender) kill() (wasDead bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wasDead, a.dead = a.dead, true
	return wasDead
}

func (a *appender) isDead() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dead
}
