package sdk

import (
	"slices"
	"sync"
)

const (
	// maxSeeds bounds the addresses that Dial is given.
	maxSeeds = 64
	// maxLearned bounds the other addresses that calls which any node answers may
	// go to.
	maxLearned = 16
)

// addressBook is where nodes are: those that Dial was given, and those that
// nodes told of.
type addressBook struct {
	seeds []string

	mu sync.Mutex // guards all below
	// preferred answered last.
	preferred string
	// learned are the newest ones that nodes told of, newest first.
	learned []string
	// answering is under which address a node, by its id, answered. Such an address
	// is used even where the node advertises another: it works from here.
	answering map[string]string
}

func newAddressBook(seeds []string) *addressBook {
	return &addressBook{seeds: seeds, preferred: seeds[0], answering: make(map[string]string)}
}

// candidates are all addresses, the most promising first, each once.
func (b *addressBook) candidates() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, a := range slices.Concat([]string{b.preferred}, b.seeds, b.learned) {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// answered takes note that an address works.
func (b *addressBook) answered(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.preferred = address
}

// met takes note of which node answers at an address.
func (b *addressBook) met(node, address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.answering) >= maxPeers {
		clear(b.answering) // nodes are met again
	}
	b.answering[node] = address
}

// failed takes note that it is not known who answers at an address.
func (b *addressBook) failed(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for node, a := range b.answering {
		if a == address {
			delete(b.answering, node)
		}
	}
}

// of is where to reach a node that advertises an address, which may be empty.
func (b *addressBook) of(node, advertised string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if advertised != "" && !slices.Contains(b.learned, advertised) {
		b.learned = slices.Insert(b.learned, 0, advertised)
		b.learned = b.learned[:min(len(b.learned), maxLearned)]
	}
	if a, ok := b.answering[node]; ok {
		return a
	}
	return advertised
}
