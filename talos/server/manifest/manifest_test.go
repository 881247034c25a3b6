package manifest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/faulty"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

var (
	someTopic = talos.Topic{
		Name: "logs", ID: talos.TopicID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, Partitions: 4,
	}
	someTime = time.Date(2026, time.January, 2, 3, 4, 5, 678_000_000, time.UTC)
)

// The golden file is version 1 of the format: what it holds must be read for ever.
func TestGolden(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "manifest-v1.golden"))
	require.NoError(t, err)
	m := Manifest{Version: 1, Topic: someTopic, Created: someTime}

	got, err := m.encode()
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(got)))
	decoded, err := decode(want)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(m, decoded))
}

func TestTheFormatsPageShowsTheGoldenFile(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "manifest-v1.golden"))
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "format", "manifest.md"))
	require.NoError(t, err)
	for line := range strings.Lines(string(golden)) {
		require.Contains(t, string(page), "    "+line)
	}
}

func TestConfigAndTombstoneTravel(t *testing.T) {
	m := Manifest{Version: 7, Topic: someTopic, Deleted: true, Created: someTime}
	m.Topic.Config = talos.TopicConfig{SegmentBytes: 1 << 20, SegmentMillis: 60_000}
	b, err := m.encode()
	require.NoError(t, err)
	got, err := decode(b)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(m, got))
}

func TestDecodeRefuses(t *testing.T) {
	whole, err := Manifest{Version: 1, Topic: someTopic, Created: someTime}.encode()
	require.NoError(t, err)
	flipped := func(at int) []byte {
		b := append([]byte(nil), whole...)
		b[at] ^= 1
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"only a line":            []byte("{}\n"),
		"a changed line":         flipped(20),
		"a changed checksum":     flipped(len(whole) - 2),
		"a cut end":              whole[:len(whole)-1],
		"a cut line":             whole[:30],
		"bytes behind":           append(append([]byte(nil), whole...), 'x'),
		"another format":         sealed(`{"format":2}`),
		"something else":         sealed(`[]`),
		"an id that is no id":    sealed(`{"format":1,"id":"x"}`),
		"a checksum in capitals": []byte(strings.ToUpper(string(whole))),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(b)
			require.Error(t, err)
		})
	}
}

func TestDecodeSkipsUnknownFields(t *testing.T) {
	m, err := decode(sealed(`{"format":1,"version":3,"colour":"blue","id":"` + someTopic.ID.String() + `"}`))
	require.NoError(t, err)
	require.Equal(t, int64(3), m.Version)
}

// sealed puts the checksum behind a line.
func sealed(line string) []byte {
	return appendChecksum([]byte(line + "\n"))
}

func FuzzDecode(f *testing.F) {
	whole, err := Manifest{Version: 1, Topic: someTopic, Created: someTime}.encode()
	require.NoError(f, err)
	f.Add(whole)
	f.Add(sealed(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil || m.Created.UTC().Year() < 0 || m.Created.UTC().Year() > 9999 {
			return // JSON can't say such a time in UTC
		}
		again, err := m.encode()
		require.NoError(t, err)
		back, err := decode(again)
		require.NoError(t, err)
		require.Equal(t, m.Topic, back.Topic)
	})
}

func TestNames(t *testing.T) {
	require.Equal(t, "m0000000012-0000abcd", name(12, 0xabcd))
	version, ok := versionOf(name(12, 0xabcd))
	require.True(t, ok)
	require.Equal(t, int64(12), version)
	for _, other := range []string{"", "0", "m1-0000abcd", "m0000000000-0000abcd", "m0000000001-0000ABCD", "a0000000001-0000abcd", "m0000000001-0000abcd0"} {
		_, ok := versionOf(other)
		require.False(t, ok, other)
	}
}

func TestTheNewestVersionCounts(t *testing.T) {
	store := mem.New()
	_, err := Latest(t.Context(), store, someTopic.ID)
	require.ErrorIs(t, err, storage.ErrNotFound)

	require.NoError(t, Write(t.Context(), store, Manifest{Version: 2, Topic: someTopic, Created: someTime}))
	require.NoError(t, Write(t.Context(), store, Manifest{Version: 1, Topic: someTopic, Created: someTime}))
	m, err := Latest(t.Context(), store, someTopic.ID)
	require.NoError(t, err)
	require.Equal(t, int64(2), m.Version)
}

func TestADamagedVersionIsPassedOver(t *testing.T) {
	whole, err := Manifest{Version: 2, Topic: someTopic, Created: someTime}.encode()
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"torn":                  whole[:len(whole)/2],
		"of another version":    whole,
		"of an unusual size":    make([]byte, maxBytes+1),
		"of a future format":    sealed(`{"format":2}`),
		"of another topic's id": sealed(`{"format":1,"version":3,"id":"ffffffffffffffffffffffffffffffff"}`),
	} {
		t.Run(name, func(t *testing.T) {
			store := mem.New()
			require.NoError(t, Write(t.Context(), store, Manifest{Version: 1, Topic: someTopic, Created: someTime}))
			put(t, store, "m0000000003-00000000", content)
			m, err := Latest(t.Context(), store, someTopic.ID)
			require.NoError(t, err)
			require.Equal(t, int64(1), m.Version)
		})
	}
}

func put(t *testing.T, store storage.Store, name string, content []byte) {
	t.Helper()
	a, err := store.Create(t.Context(), storage.ID{Folder: someTopic.ID.String(), Name: name}, content, talos.Sync)
	require.NoError(t, err)
	require.NoError(t, a.Seal(t.Context()))
}

// A version that can't be read now may say "deleted": an older one must not
// stand in for it.
func TestAVersionThatCannotBeReadIsAnError(t *testing.T) {
	inner := mem.New()
	require.NoError(t, Write(t.Context(), inner, Manifest{Version: 1, Topic: someTopic, Created: someTime}))
	require.NoError(t, Write(t.Context(), inner, Manifest{Version: 2, Topic: someTopic, Created: someTime}))
	fault := errors.New("no route to host")
	store := faulty.New(inner, faulty.Rules(faulty.Rule{Op: faulty.Read, N: 1, Fault: faulty.Fault{Before: faulty.Fail(fault)}}))
	_, err := Latest(t.Context(), store, someTopic.ID)
	require.ErrorIs(t, err, fault)
}

func TestBuryWritesOneTombstone(t *testing.T) {
	store := mem.New()
	require.NoError(t, Write(t.Context(), store, Manifest{Version: 1, Topic: someTopic, Created: someTime}))
	for range 2 {
		require.NoError(t, Bury(t.Context(), store, someTopic, someTime))
		m, err := Latest(t.Context(), store, someTopic.ID)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(Manifest{Version: 2, Topic: someTopic, Deleted: true, Created: someTime}, m))
	}
}

func TestBuryNeedsNoManifest(t *testing.T) {
	store := mem.New()
	require.NoError(t, Bury(t.Context(), store, someTopic, someTime))
	m, err := Latest(t.Context(), store, someTopic.ID)
	require.NoError(t, err)
	require.True(t, m.Deleted)
}

func TestRemoveTakesTheTombstoneLast(t *testing.T) {
	var removed []string
	inner := mem.New()
	store := faulty.New(inner, func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.Remove {
			removed = append(removed, c.ID.Name[:11])
		}
		return faulty.Fault{}
	})
	require.NoError(t, Write(t.Context(), store, Manifest{Version: 1, Topic: someTopic, Created: someTime}))
	require.NoError(t, Bury(t.Context(), store, someTopic, someTime))
	put(t, store, "x", []byte("not a manifest"))

	require.NoError(t, Remove(t.Context(), store, someTopic.ID))
	require.Equal(t, []string{"m0000000001", "m0000000002"}, removed)
	listing, err := inner.List(t.Context(), someTopic.ID.String())
	require.NoError(t, err)
	require.Len(t, listing.Segments, 1)
}

func TestWriteRefusesAVersionThatHasNoName(t *testing.T) {
	for _, version := range []int64{0, -1, maxVersion + 1} {
		require.Error(t, Write(context.Background(), mem.New(), Manifest{Version: version, Topic: someTopic}))
	}
}
