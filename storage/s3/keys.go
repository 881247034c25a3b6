package s3

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/talos-log/talos/storage"
)

const (
	// mark ends a segment's name in keys. No folder or name has it, so that a
	// segment's objects are never below another one's.
	mark = "!"

	openEntry   = "open"
	sealedEntry = "sealed-"

	numberDigits = 10
)

// keys makes and reads the keys below a prefix, which is empty or ends with "/".
type keys struct{ prefix string }

func (k keys) chunksFolder(folder string) string { return k.folder("chunks/", folder) }
func (k keys) indexFolder(folder string) string  { return k.folder("index/", folder) }
func (k keys) probe(name string) string          { return k.prefix + "probe/" + name }

func (k keys) folder(tree, folder string) string {
	if folder == "" {
		return k.prefix + tree
	}
	return k.prefix + tree + folder + "/"
}

// chunks is what the keys of a segment's chunks begin with.
func (k keys) chunks(id storage.ID) string { return k.chunksFolder(id.Folder) + id.Name + mark + "/" }

func (k keys) chunk(id storage.ID, number int64) string {
	return k.chunks(id) + digits(number)
}

func digits(number int64) string { return fmt.Sprintf("%0*d", numberDigits, number) }

// entries is what the keys of a segment's index entries begin with.
func (k keys) entries(id storage.ID) string { return k.indexFolder(id.Folder) + id.Name + mark }

func (k keys) open(id storage.ID) string { return k.entries(id) + openEntry }

func (k keys) sealed(id storage.ID, chunks, bytes int64) string {
	return fmt.Sprintf("%s%s%d-%d", k.entries(id), sealedEntry, chunks, bytes)
}

// parseNumber reads the last part of a chunk's key.
func parseNumber(s string) (int64, bool) {
	if len(s) != numberDigits {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}

// entry is what the index says of a segment.
type entry struct {
	name          string
	sealed        bool
	chunks, bytes int64
}

// parseEntry reads the last part of an entry's key.
func parseEntry(s string) (entry, bool) {
	name, state, ok := strings.Cut(s, mark)
	if !ok || (storage.ID{Name: name}).Validate() != nil {
		return entry{}, false
	}
	e := entry{name: name}
	if state == openEntry {
		return e, true
	}
	numbers, ok := strings.CutPrefix(state, sealedEntry)
	if !ok {
		return entry{}, false
	}
	chunks, bytes, ok := strings.Cut(numbers, "-")
	if !ok {
		return entry{}, false
	}
	var err1, err2 error
	e.sealed = true
	e.chunks, err1 = strconv.ParseInt(chunks, 10, 64)
	e.bytes, err2 = strconv.ParseInt(bytes, 10, 64)
	return e, err1 == nil && err2 == nil && e.chunks > 0 && e.bytes > 0
}
