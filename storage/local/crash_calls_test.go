package local_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// crashFolders are where the scripts create segments.
var crashFolders = []string{"", "t", "t/0", "t/1", "u/0", "v/w/x"}

// makeCall makes a random call that the contract allows now.
func (s *crashScript) makeCall() {
	var written, present, begun []*promise
	for _, p := range s.promises {
		if p.removing {
			continue
		}
		begun = append(begun, p)
		if p.present {
			present = append(present, p)
		}
		if p.appender != nil && !p.ending {
			written = append(written, p)
		}
	}
	one := func(of []*promise) *promise { return of[s.rng.IntN(len(of))] }
	switch n := s.rng.IntN(16); {
	case n < 6 && len(written) > 0:
		s.append(one(written))
	case n < 7 && len(written) > 0:
		s.seal(one(written))
	case n < 8 && len(written) > 0:
		s.abandon(one(written))
	case n < 9 && len(begun) > 0: // also one whose Create is not done yet
		s.recover(one(begun))
	case n < 11 && len(present) > 0:
		s.recover(one(present))
	case n < 13 && len(present) > 1: // its Create has returned: a name must not come after its Remove
		s.remove(one(present))
	default:
		s.create()
	}
}

func (s *crashScript) create() {
	n := len(s.promises)
	folder := crashFolders[s.rng.IntN(len(crashFolders))]
	p := &promise{id: storage.ID{Folder: folder, Name: fmt.Sprint("s", n)}}
	p.head = []byte("head of " + p.id.String() + ";")
	p.sent = p.head
	s.promises = append(s.promises, p)
	s.call("create "+p.id.String(), func() error {
		a, err := s.store.Create(s.ctx, p.id, p.head, talos.Sync)
		return s.note(err, func() error {
			p.present, p.acked, p.appender = true, max(p.acked, len(p.head)), a
			return nil
		})
	})
}

// append starts up to three appends together.
func (s *crashScript) append(p *promise) {
	for range 1 + s.rng.IntN(3) {
		b := []byte(strings.Repeat(string(rune('a'+s.calls%26)), 1+s.rng.IntN(20)))
		p.sent = append(p.sent[:len(p.sent):len(p.sent)], b...)
		end := len(p.sent)
		s.call(fmt.Sprintf("append to %d to %s", end, p.id), func() error {
			p.appender.Append(b, func(err error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				if err == nil {
					p.acked = end
				}
			})
			return nil
		})
	}
}

func (s *crashScript) seal(p *promise) {
	p.ending = true
	s.call("seal "+p.id.String(), func() error {
		err := p.appender.Seal(s.ctx)
		if errors.Is(err, storage.ErrDead) {
			return nil // somebody recovered or removed it
		}
		return s.note(err, func() error { return p.keep(p.sent) })
	})
}

func (s *crashScript) abandon(p *promise) {
	p.ending = true
	s.call("abandon "+p.id.String(), func() error { p.appender.Abandon(); return nil })
}

func (s *crashScript) recover(p *promise) {
	present := p.present
	s.call("recover "+p.id.String(), func() error {
		content, err := recovered(s.ctx, s.store, p.id)
		if errors.Is(err, storage.ErrNotFound) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if present && !p.removing {
				return err
			}
			return nil // it never came so far, or is gone
		}
		return s.note(err, func() error { p.present = true; return p.keep(content) })
	})
}

func (s *crashScript) remove(p *promise) {
	p.removing = true
	s.call("remove "+p.id.String(), func() error {
		err := s.store.Remove(s.ctx, p.id)
		return s.note(err, func() error { p.removed = true; return nil })
	})
}
