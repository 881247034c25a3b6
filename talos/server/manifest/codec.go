package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"time"

	"github.com/talos-log/talos/talos"
)

// format is the one that this version writes, and the only one it reads.
const format = 1

// maxBytes is the largest manifest that is read.
const maxBytes = 64 << 10

// Manifest is one version of what the store says about a topic.
type Manifest struct {
	// Version counts from 1; the highest valid one of a topic counts.
	Version int64
	Topic   talos.Topic
	// Deleted makes it a tombstone: the topic's data is being removed.
	Deleted bool
	// Created is when this version was written; kept to the millisecond.
	Created time.Time
}

// line is the JSON of a manifest. The order of the fields is part of the golden
// file, not of the format.
type line struct {
	Format  int   `json:"format"`
	Version int64 `json:"version"`
	talos.Topic
	Deleted bool      `json:"deleted"`
	Created time.Time `json:"created"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns the JSON line and the checksum line.
func (m Manifest) encode() ([]byte, error) {
	text, err := json.Marshal(line{
		Format: format, Version: m.Version, Topic: m.Topic, Deleted: m.Deleted,
		Created: m.Created.UTC().Truncate(time.Millisecond),
	})
	if err != nil {
		return nil, err
	}
	return appendChecksum(append(text, '\n')), nil
}

// appendChecksum adds the second line behind the first.
func appendChecksum(line []byte) []byte {
	return fmt.Appendf(line, "crc32c %08x\n", crc32.Checksum(line, castagnoli))
}

var checksumPattern = regexp.MustCompile(`^crc32c [0-9a-f]{8}\n$`)

// decode is the inverse of encode. Unknown fields are skipped, an unknown format
// is an error.
func decode(b []byte) (Manifest, error) {
	end := bytes.IndexByte(b, '\n') + 1
	if end == 0 || !checksumPattern.Match(b[end:]) {
		return Manifest{}, errors.New("it is not a line of JSON and a checksum")
	}
	if !bytes.Equal(b, appendChecksum(bytes.Clone(b[:end]))) {
		return Manifest{}, errors.New("its checksum does not match")
	}
	var l line
	if err := json.Unmarshal(b[:end], &l); err != nil {
		return Manifest{}, err
	}
	if l.Format != format {
		return Manifest{}, fmt.Errorf("its format is %d, only %d is known", l.Format, format)
	}
	return Manifest{Version: l.Version, Topic: l.Topic, Deleted: l.Deleted, Created: l.Created}, nil
}

// maxVersion is the highest number that a name's ten digits hold.
const maxVersion = 9_999_999_999

var namePattern = regexp.MustCompile(`^m(\d{10})-[0-9a-f]{8}$`)

// name returns the name under which a version is kept. The random part makes
// every try a name of its own, since a name is never used twice.
func name(version int64, random uint32) string {
	return fmt.Sprintf("m%010d-%08x", version, random)
}

// versionOf returns the version that a name states; false if it is not a
// manifest's name.
func versionOf(name string) (int64, bool) {
	m := namePattern.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseInt(m[1], 10, 64)
	return v, err == nil && v > 0
}
