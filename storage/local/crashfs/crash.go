package crashfs

import "bytes"

// Pick decides what survives a power cut, one thing at a time: it returns which
// of n states, from 0, a thing that was not synced is found in. 0 is as it was
// synced and n-1 as it was last. The Intn of a seeded generator is one.
type Pick func(n int) int

// Nothing lets nothing survive that was not synced.
func Nothing(int) int { return 0 }

// Everything lets all survive, synced or not.
func Everything(n int) int { return n - 1 }

// PowerCut returns the file system as a power cut now would leave it. All that
// it has is durable.
func (f *FS) PowerCut(pick Pick) *FS {
	return f.crash(func(from, to *inode, copies map[*inode]*inode) {
		if from.file != nil {
			b := from.file.survivors(pick)
			to.file = &content{bytes: b, synced: bytes.Clone(b)}
			return
		}
		entries := from.folder.survivors(pick)
		to.folder = &folder{entries: translate(entries, copies), synced: translate(entries, copies)}
	})
}

// Killed returns the file system as it is for the next process if this one is
// killed now: nobody has a file open or locked, and what was not synced is
// there but can still be lost.
func (f *FS) Killed() *FS {
	return f.crash(func(from, to *inode, copies map[*inode]*inode) {
		if c := from.file; c != nil {
			to.file = &content{
				bytes: bytes.Clone(c.bytes), synced: bytes.Clone(c.synced), writes: append([]write(nil), c.writes...),
			}
			return
		}
		d := from.folder
		to.folder = &folder{entries: translate(d.entries, copies), synced: translate(d.synced, copies)}
		for _, c := range d.changes {
			to.folder.changes = append(to.folder.changes, change{c.name, copies[c.to]})
		}
	})
}

// crash copies all inodes, each by one call of survive, in the order in which
// they were made, so that a seeded Pick leads to the same result each time.
func (f *FS) crash(survive func(from, to *inode, copies map[*inode]*inode)) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	copies := make(map[*inode]*inode, len(f.inodes))
	for _, n := range f.inodes {
		copies[n] = &inode{}
	}
	next := New(nil)
	next.root, next.inodes = copies[f.root], nil
	for _, n := range f.inodes {
		survive(n, copies[n], copies)
		next.make(copies[n])
	}
	return next
}

func translate(entries map[string]*inode, copies map[*inode]*inode) map[string]*inode {
	all := make(map[string]*inode, len(entries))
	for name, n := range entries {
		all[name] = copies[n]
	}
	return all
}
