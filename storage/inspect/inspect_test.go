package inspect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/inspect"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var topic = talos.TopicID{7}

func name(number talos.SegmentNumber, epoch talos.Epoch, base talos.Offset) talos.SegmentName {
	return talos.SegmentName{Number: number, Epoch: epoch, Base: base}
}

// oneRecord is a batch that takes one offset.
func oneRecord(base talos.Offset) []byte {
	k := kmsg.RecordBatch{Length: batch.HeaderSize - 12 + 5, Magic: 2, ProducerID: -1, NumRecords: 1, Records: []byte("hello")}
	b := k.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	batch.Place(b, base, 1)
	return b
}

// content is a segment with one frame for each record, and its frames' ends.
func content(t *testing.T, n talos.SegmentName, records int, sealed bool) (all []byte, ends []int) {
	t.Helper()
	at := segment.Meta{Base: n.Base, Next: n.Base, Acked: n.Base, Time: 1}
	w, head, err := segment.NewWriter(segment.Header{
		Cluster: "c", Topic: topic, TopicName: "logs", Partition: 3, Name: n, Created: time.UnixMilli(1), Window: 1 << 20,
	}, nil, at, 0)
	require.NoError(t, err)
	all = head
	ends = append(ends, len(all))
	for range records {
		at.Next++
		at.Acked = at.Base
		b := oneRecord(at.Base)
		all = append(all, w.Data(append(w.Buffer(len(b)), b...), at)...)
		ends = append(ends, len(all))
		at.Base = at.Next
	}
	if sealed {
		all = append(all, w.Footer(at, nil)...)
	}
	return all, ends
}

// put stores a segment's bytes under a name.
func put(t *testing.T, store storage.Store, n talos.SegmentName, b []byte) {
	t.Helper()
	a, err := store.Create(t.Context(), storage.ID{Folder: talos.PartitionID{Topic: topic, Number: 3}.String(), Name: n.String()}, b, talos.Sync)
	require.NoError(t, err)
	require.NoError(t, a.Seal(t.Context()))
}

func newStore(t *testing.T) storage.Store {
	t.Helper()
	store, err := local.Open(t.TempDir(), local.Options{})
	require.NoError(t, err)
	return store
}

// verifyOnly verifies the one segment there is.
func verifyOnly(t *testing.T, store storage.Store) inspect.Finding {
	t.Helper()
	entries, err := inspect.List(t.Context(), store)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	f, err := inspect.Verify(t.Context(), store, entries[0], nil)
	require.NoError(t, err)
	return f
}

func TestListFindsSegmentsAndWhatSupersedesThem(t *testing.T) {
	store := newStore(t)
	names := []talos.SegmentName{name(1, 1, 0), name(2, 1, 2), name(2, 2, 3), name(3, 2, 5)}
	for _, n := range names {
		put(t, store, n, []byte("any"))
	}
	put(t, store, name(4, 3, 9), []byte("any"))
	entries, err := inspect.List(t.Context(), store)
	require.NoError(t, err)
	var superseded []talos.SegmentName
	for i, e := range entries {
		if i < len(names) {
			require.Equal(t, names[i], e.Name)
		}
		if e.Superseded {
			superseded = append(superseded, e.Name)
		}
	}
	require.Equal(t, []talos.SegmentName{name(2, 1, 2)}, superseded)
}

func TestVerifySealedFindsEachFlippedByte(t *testing.T) {
	n := name(1, 1, 0)
	sound, _ := content(t, n, 3, true)
	store := newStore(t)
	put(t, store, n, sound)
	f := verifyOnly(t, store)
	require.Equal(t, inspect.Sealed, f.State)
	require.Equal(t, talos.Offset(3), f.Next)
	require.Equal(t, int64(3), f.Batches)

	for at := range sound {
		flipped := bytes.Clone(sound)
		flipped[at] ^= 1
		store := newStore(t)
		put(t, store, n, flipped)
		f := verifyOnly(t, store)
		require.False(t, f.State.Sound(), "byte %d", at)
		require.ErrorContains(t, f.Fault, f.ID().String())
		require.Regexp(t, `at byte \d+`, f.Fault.Error())
	}
}

func TestVerifyUnsealedTellsATornTailFromDamage(t *testing.T) {
	n := name(1, 1, 0)
	whole, ends := content(t, n, 3, false)
	for _, c := range []struct {
		what  string
		bytes []byte
		state inspect.State
		next  talos.Offset
		tail  int64
	}{
		{"whole", whole, inspect.Unsealed, 3, 0},
		{"cut in the last frame", whole[:len(whole)-5], inspect.Torn, 2, int64(len(whole) - 5 - ends[2])},
		{"the last frame not as it was written", flip(whole, len(whole)-20), inspect.Ambiguous, 2, int64(len(whole) - ends[2])},
		{"an acknowledged frame not as it was written", flip(whole, ends[0]+30), inspect.Damaged, 0, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			store := newStore(t)
			put(t, store, n, c.bytes)
			f := verifyOnly(t, store)
			require.Equal(t, c.state, f.State, fmt.Sprint(f.Fault))
			require.Equal(t, c.next, f.Next)
			require.Equal(t, c.tail, f.Tail)
		})
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x10
	return b
}

func TestVerifyFindsWhatTheNextSegmentMisses(t *testing.T) {
	store := newStore(t)
	first, _ := content(t, name(1, 1, 0), 3, true)
	put(t, store, name(1, 1, 0), first)
	second, _ := content(t, name(2, 1, 5), 1, true)
	put(t, store, name(2, 1, 5), second)
	entries, err := inspect.List(t.Context(), store)
	require.NoError(t, err)
	f, err := inspect.Verify(t.Context(), store, entries[0], nil)
	require.NoError(t, err)
	require.Equal(t, inspect.Damaged, f.State)
	require.ErrorContains(t, f.Fault, "it ends at offset 3, the next segment begins at 5")
}

func TestVerifyFindsASegmentThatIsAnother(t *testing.T) {
	store := newStore(t)
	other, _ := content(t, name(1, 1, 0), 3, true)
	put(t, store, name(2, 1, 0), other)
	f := verifyOnly(t, store)
	require.Equal(t, inspect.Damaged, f.State)
	require.ErrorContains(t, f.Fault, "the header says that it is")
}

func TestFindRefusesWhatIsNoID(t *testing.T) {
	store := newStore(t)
	_, err := inspect.Find(context.Background(), store, "a/b")
	require.ErrorIs(t, err, talos.InvalidRequest)
	_, err = inspect.Find(context.Background(), store, topic.String()+"/0/"+name(1, 1, 0).String())
	require.ErrorIs(t, err, storage.ErrNotFound)
}
