package failpoint

import (
	"context"
	"strings"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Store returns a store that reports each operation to the trap and each append
// to the gauge, and otherwise is inner. gauge may be nil.
func Store(inner storage.Store, trap *Trap, gauge *Gauge) storage.Store {
	return &store{Store: inner, trap: trap, gauge: gauge}
}

type store struct {
	storage.Store
	trap  *Trap
	gauge *Gauge
}

// opIn tells a partition's folder, "<topic>/<number>", from a topic's.
func opIn(folder string, op Op) Op {
	if strings.Contains(folder, "/") {
		return op
	}
	return manifest + op
}

func (s *store) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	step := s.trap.begin(opIn(id.Folder, Create))
	if step.half() {
		head = head[:len(head)/2]
	}
	inner, err := s.Store.Create(ctx, id, head, d)
	step.at(Half)
	step.at(After)
	if err != nil {
		return nil, err
	}
	return &appender{Appender: inner, store: s, folder: id.Folder}, nil
}

func (s *store) Recover(ctx context.Context, id storage.ID) (storage.Info, error) {
	step := s.trap.begin(opIn(id.Folder, Recover))
	info, err := s.Store.Recover(ctx, id)
	step.at(After)
	return info, err
}

func (s *store) Open(ctx context.Context, id storage.ID) (storage.Reader, error) {
	step := s.trap.begin(opIn(id.Folder, Open))
	reader, err := s.Store.Open(ctx, id)
	step.at(After)
	return reader, err
}

func (s *store) List(ctx context.Context, folder string) (storage.Listing, error) {
	step := s.trap.begin(opIn(folder, List))
	listing, err := s.Store.List(ctx, folder)
	step.at(After)
	return listing, err
}

// Purge implements storage.Purger; no process dies there.
func (s *store) Purge(ctx context.Context, folder string) error {
	return storage.Purge(ctx, s.Store, folder)
}

type appender struct {
	storage.Appender
	store  *store
	folder string
}

func (a *appender) Append(p []byte, done func(error)) {
	step := a.store.trap.begin(opIn(a.folder, Append))
	if step.half() {
		p = p[:len(p)/2]
	}
	a.store.gauge.issue()
	a.Appender.Append(p, func(err error) {
		step.at(Half)
		step.at(After)
		a.store.gauge.complete()
		done(err)
	})
}

func (a *appender) Seal(ctx context.Context) error {
	step := a.store.trap.begin(opIn(a.folder, Seal))
	err := a.Appender.Seal(ctx)
	step.at(After)
	return err
}
