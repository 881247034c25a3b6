package crashfs

import "maps"

// inode is a folder or a file: one of the two is set.
type inode struct {
	folder *folder
	file   *content
}

// folder holds entries as they are and as they were synced, with the changes
// that lie between.
type folder struct {
	entries, synced map[string]*inode
	changes         []change
}

// change made an entry lead to an inode, or to nothing.
type change struct {
	name string
	to   *inode
}

func newFolder() *folder {
	return &folder{entries: map[string]*inode{}, synced: map[string]*inode{}}
}

// set makes an entry, or removes it if n is nil.
func (d *folder) set(name string, n *inode) {
	apply(d.entries, change{name, n})
	d.changes = append(d.changes, change{name, n})
}

func apply(entries map[string]*inode, c change) {
	if c.to == nil {
		delete(entries, c.name)
		return
	}
	entries[c.name] = c.to
}

// survivors returns the entries after a power cut: each that was changed since
// the last sync is in one of the states it has been in.
func (d *folder) survivors(pick Pick) map[string]*inode {
	entries := maps.Clone(d.synced)
	states := map[string][]*inode{}
	var names []string // in the order of their first change
	for _, c := range d.changes {
		if states[c.name] == nil {
			names = append(names, c.name)
			states[c.name] = []*inode{d.synced[c.name]}
		}
		states[c.name] = append(states[c.name], c.to)
	}
	for _, name := range names {
		apply(entries, change{name, states[name][pick(len(states[name]))]})
	}
	return entries
}

// content is a file's bytes as they are and as they were synced, with the
// writes that lie between, and its lock.
type content struct {
	bytes, synced []byte
	writes        []write

	exclusive *file
	shared    map[*file]bool
}

type write struct {
	off int
	p   []byte
}

// into returns b with the part of the write from and to, and as long as the
// whole write made it.
func (w write) into(b []byte, from, to int) []byte {
	if more := w.off + len(w.p) - len(b); more > 0 {
		b = append(b, make([]byte, more)...)
	}
	copy(b[w.off+from:], w.p[from:to])
	return b
}

// survivors returns the bytes after a power cut. Each write since the last sync
// may be lost, torn, there by its length alone, or whole.
func (c *content) survivors(pick Pick) []byte {
	b := append([]byte(nil), c.synced...)
	for _, w := range c.writes {
		const lost, torn, length, whole, fates = 0, 1, 2, 3, 4
		switch pick(fates) {
		case lost:
		case torn:
			from := pick(len(w.p) + 1)
			b = w.into(b, from, from+pick(len(w.p)-from+1))
		case length:
			b = w.into(b, 0, 0)
		case whole:
			b = w.into(b, 0, len(w.p))
		}
	}
	return b
}
