package history_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
	"pgregory.net/rapid"
)

const final = "final"

// content is a digest that differs for each n.
func content(n int) history.Digest { return history.Digest{byte(n), byte(n >> 8)} }

// stored is one record of a log, as all sides agree on it.
type stored struct {
	id        history.ID
	partition int32
	offset    talos.Offset
}

// right is a small history without fault: two producers, two partitions.
func right() []stored {
	return []stored{
		{history.ID{Producer: 0, Sequence: 0}, 0, 0},
		{history.ID{Producer: 1, Sequence: 0}, 0, 1},
		{history.ID{Producer: 0, Sequence: 1}, 1, 0},
		{history.ID{Producer: 0, Sequence: 2}, 0, 2},
		{history.ID{Producer: 1, Sequence: 1}, 1, 1},
		{history.ID{Producer: 1, Sequence: 2}, 0, 3},
	}
}

// record plays sends and acknowledgements, one after the other.
func record(records []stored) *history.History {
	h := history.New()
	for i, r := range records {
		h.Send(r.id, r.partition, content(i))
	}
	for _, r := range records {
		h.Acked(r.id, history.Ack{Partition: r.partition, Offset: r.offset})
	}
	return h
}

func readAll(h *history.History, reader string, records []stored) {
	for i, r := range records {
		h.Read(reader, r.partition, r.offset, r.id, content(i))
	}
}

func kinds(anomalies []history.Anomaly) []history.AnomalyKind {
	var out []history.AnomalyKind
	seen := map[history.AnomalyKind]bool{}
	for _, a := range anomalies {
		if !seen[a.Kind] {
			out = append(out, a.Kind)
		}
		seen[a.Kind] = true
	}
	return out
}

func TestARightHistoryHasNoAnomalies(t *testing.T) {
	h := record(right())
	readAll(h, "follower", right()[:4])
	readAll(h, final, right())
	require.Empty(t, h.Check(final))
}

// What lies below an offset that somebody wanted the log to start at may be gone, and
// readers are led past it. It may still be there, too.
func TestTrimsTakeWhatLiesBelow(t *testing.T) {
	h := record(right())
	readAll(h, "follower", right()[:1])
	h.Range("observer", 0, talos.OffsetRange{Start: 0, End: 4}, 1)
	h.Trim(0, 2)
	h.Range("observer", 0, talos.OffsetRange{Start: 2, End: 4}, 1)
	for i, r := range right() {
		if r.partition == 1 || r.offset >= 2 {
			h.Read(final, r.partition, r.offset, r.id, content(i))
		}
	}
	require.Empty(t, h.Check(final))

	h = record(right())
	h.Trim(0, 2)
	readAll(h, final, right())
	require.Empty(t, h.Check(final))
}

func TestEachAnomalyIsFound(t *testing.T) {
	all := right()
	beyond := history.ID{Producer: 9, Sequence: 9}
	tests := map[string]struct {
		want []history.AnomalyKind
		make func() *history.History
	}{
		"an acknowledged record is missing in the middle": {
			[]history.AnomalyKind{history.PollSkip, history.LostWrite},
			func() *history.History {
				h := record(all)
				for i, r := range all {
					if i != 3 {
						h.Read(final, r.partition, r.offset, r.id, content(i))
					}
				}
				return h
			},
		},
		"the offsets close over a lost record": {
			[]history.AnomalyKind{history.InconsistentOffsets, history.Duplicate, history.LostWrite, history.Unseen},
			func() *history.History {
				h := record(all)
				for i, r := range all {
					switch i {
					case 3:
					case 5:
						h.Read(final, 0, 2, r.id, content(i))
					default:
						h.Read(final, r.partition, r.offset, r.id, content(i))
					}
				}
				return h
			},
		},
		"more is gone than was trimmed": {
			[]history.AnomalyKind{history.PollSkip, history.LostWrite},
			func() *history.History {
				h := record(all)
				h.Trim(0, 1)
				for i, r := range all {
					if r.partition == 1 || r.offset >= 2 {
						h.Read(final, r.partition, r.offset, r.id, content(i))
					}
				}
				return h
			},
		},
		"a log starts behind what was wanted": {
			[]history.AnomalyKind{history.TrimmedTooFar},
			func() *history.History {
				h := record(all)
				h.Trim(0, 1)
				h.Range("observer", 0, talos.OffsetRange{Start: 2, End: 4}, 1)
				readAll(h, final, all)
				return h
			},
		},
		"the end is missing": {
			[]history.AnomalyKind{history.Unseen},
			func() *history.History {
				h := record(all)
				readAll(h, final, all[:5])
				return h
			},
		},
		"one record is stored twice": {
			[]history.AnomalyKind{history.Duplicate, history.NonmonotonicSend},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Read(final, 0, 4, all[3].id, content(3))
				return h
			},
		},
		"one record is stored in another partition": {
			[]history.AnomalyKind{history.InconsistentOffsets, history.Duplicate},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Read(final, 2, 0, all[5].id, content(5))
				return h
			},
		},
		"two records are acknowledged at one offset": {
			[]history.AnomalyKind{history.InconsistentOffsets, history.LostWrite},
			func() *history.History {
				h := record(all)
				h.Send(beyond, 0, content(9))
				h.Acked(beyond, history.Ack{Partition: 0, Offset: 0})
				readAll(h, final, all)
				return h
			},
		},
		"two readers see different records at one offset": {
			[]history.AnomalyKind{history.InconsistentOffsets, history.Disappeared},
			func() *history.History {
				h := record(all)
				h.Send(beyond, 1, content(9))
				h.Acked(beyond, history.Ack{Partition: 1, Offset: 2})
				h.Read("follower", 0, 0, all[0].id, content(0))
				h.Read("follower", 0, 1, all[3].id, content(3))
				readAll(h, final, all)
				h.Read(final, 1, 2, beyond, content(9))
				return h
			},
		},
		"a record that was read disappears": {
			[]history.AnomalyKind{history.Disappeared},
			func() *history.History {
				h := history.New()
				h.Send(all[0].id, 0, content(0))
				h.Read("follower", 0, 0, all[0].id, content(0))
				h.Failed(all[0].id, errors.New("unknown outcome"))
				return h
			},
		},
		"a producer's order is inverted": {
			[]history.AnomalyKind{history.NonmonotonicSend},
			func() *history.History {
				inverted := []stored{{all[3].id, 0, 0}, {all[0].id, 0, 1}}
				h := history.New()
				h.Send(all[0].id, 0, content(1))
				h.Send(all[3].id, 0, content(0))
				h.Acked(all[3].id, history.Ack{Partition: 0, Offset: 0})
				h.Acked(all[0].id, history.Ack{Partition: 0, Offset: 1})
				readAll(h, final, inverted)
				return h
			},
		},
		"a reader is led back": {
			[]history.AnomalyKind{history.NonmonotonicPoll},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				readAll(h, "follower", all)
				h.Read("follower", 0, 1, all[1].id, content(1))
				return h
			},
		},
		"a reader is led past a record": {
			[]history.AnomalyKind{history.PollSkip},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				readAll(h, "follower", all[1:])
				return h
			},
		},
		"a record's content changes": {
			[]history.AnomalyKind{history.Changed},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Read("follower", 0, 0, all[0].id, content(77))
				return h
			},
		},
		"a record appears that nobody sent": {
			[]history.AnomalyKind{history.Phantom},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Read(final, 1, 2, beyond, content(9))
				return h
			},
		},
		"a record that nobody sent is acknowledged": {
			[]history.AnomalyKind{history.Phantom},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Acked(beyond, history.Ack{Partition: 1, Offset: 2})
				return h
			},
		},
		"a later record of another producer lies before an acknowledged one": {
			[]history.AnomalyKind{history.RealTime},
			func() *history.History {
				h := history.New()
				h.Send(all[0].id, 0, content(0))
				h.Acked(all[0].id, history.Ack{Partition: 0, Offset: 1})
				h.Send(all[1].id, 0, content(1))
				h.Acked(all[1].id, history.Ack{Partition: 0, Offset: 0})
				h.Read(final, 0, 0, all[1].id, content(1))
				h.Read(final, 0, 1, all[0].id, content(0))
				return h
			},
		},
		"a record gets no answer": {
			[]history.AnomalyKind{history.Unanswered},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Send(beyond, 0, content(9))
				return h
			},
		},
		"a record gets two answers": {
			[]history.AnomalyKind{history.AnsweredTwice},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Acked(all[0].id, history.Ack{Partition: 0, Offset: 0})
				return h
			},
		},
		"a record gets an error": {
			[]history.AnomalyKind{history.SendFailed},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Send(beyond, 0, content(9))
				h.Failed(beyond, errors.New("no"))
				return h
			},
		},
		"a record is acknowledged by another partition": {
			[]history.AnomalyKind{history.InconsistentOffsets},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Send(beyond, 1, content(9))
				h.Acked(beyond, history.Ack{Partition: 0, Offset: 2})
				h.Read(final, 1, 2, beyond, content(9))
				return h
			},
		},
		"the test sends a record twice": {
			[]history.AnomalyKind{history.Misuse},
			func() *history.History {
				h := record(all)
				readAll(h, final, all)
				h.Send(all[0].id, 0, content(0))
				return h
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := test.make().Check(final)
			for _, kind := range test.want {
				require.Contains(t, kinds(found), kind, history.Report(found))
			}
		})
	}
}

// Whatever single record is dropped, repeated, or exchanged with another one in
// what the final reader got, Check finds it.
func TestAnyTamperingIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []stored
		next := map[int32]talos.Offset{}
		sequence := map[int]int{}
		for range rapid.IntRange(2, 40).Draw(t, "records") {
			producer := rapid.IntRange(0, 3).Draw(t, "producer")
			partition := rapid.Int32Range(0, 2).Draw(t, "partition")
			all = append(all, stored{history.ID{Producer: producer, Sequence: sequence[producer]}, partition, next[partition]})
			next[partition]++
			sequence[producer]++
		}
		h := record(all)
		victim := rapid.IntRange(0, len(all)-1).Draw(t, "victim")
		other := rapid.IntRange(0, len(all)-1).Filter(func(i int) bool { return i != victim }).Draw(t, "other")
		tampering := rapid.SampledFrom([]string{"drop", "repeat", "exchange", "change"}).Draw(t, "tampering")
		for i, r := range all {
			switch {
			case i == victim && tampering == "drop":
				continue
			case i == victim && tampering == "exchange":
				r.id = all[other].id
			case i == victim && tampering == "change":
				h.Read(final, r.partition, r.offset, r.id, content(i+1))
				continue
			}
			h.Read(final, r.partition, r.offset, r.id, content(i))
		}
		if tampering == "repeat" {
			h.Read(final, all[victim].partition, next[all[victim].partition], all[victim].id, content(victim))
		}
		require.NotEmpty(t, h.Check(final))
	})
}

func TestCountsAcknowledgementsByTime(t *testing.T) {
	all := right()
	h := history.New()
	h.Send(all[0].id, 0, content(0))
	h.Send(all[1].id, 0, content(1))
	h.Acked(all[0].id, history.Ack{Partition: 0, Offset: 0})
	kill := h.Now()
	require.Zero(t, h.AckedOfSince(kill))
	h.Acked(all[1].id, history.Ack{Partition: 0, Offset: 1})
	require.Zero(t, h.AckedOfSince(kill), "it was on its way before")
	require.Equal(t, 1, h.AckedBetween(0, kill))
	require.Equal(t, 1, h.AckedBetween(kill, h.Now()))

	h.Send(all[2].id, 1, content(2))
	h.Acked(all[2].id, history.Ack{Partition: 1, Offset: 0})
	require.Equal(t, 1, h.AckedOfSince(kill))
	require.Equal(t, 3, h.Acks())
	require.Equal(t, map[int32]talos.Offset{0: 2, 1: 1}, h.Ends())
}

func TestDigestCoversTheWholeRecord(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	variants := []talos.Record{
		{Timestamp: now},
		{Timestamp: now.Add(time.Millisecond)},
		{Timestamp: now, Key: []byte{}},
		{Timestamp: now, Value: []byte{}},
		{Timestamp: now, Key: []byte("ab"), Value: []byte("c")},
		{Timestamp: now, Key: []byte("a"), Value: []byte("bc")},
		{Timestamp: now, Headers: []talos.Header{{Key: "ab", Value: []byte("c")}}},
		{Timestamp: now, Headers: []talos.Header{{Key: "a", Value: []byte("bc")}}},
		{Timestamp: now, Headers: []talos.Header{{Key: "a"}}},
		{Timestamp: now, Headers: []talos.Header{{Key: "a", Value: []byte{}}}},
	}
	seen := map[history.Digest]int{}
	for i := range variants {
		d := history.DigestOf(&variants[i])
		require.NotContains(t, seen, d, "variant %d", i)
		require.Equal(t, d, history.DigestOf(&variants[i]))
		seen[d] = i
	}
}

func TestParseIDIsStrict(t *testing.T) {
	id, err := history.ParseID("3/14")
	require.NoError(t, err)
	require.Equal(t, history.ID{Producer: 3, Sequence: 14}, id)
	for _, s := range []string{"", "3", "3/", "03/1", "3/1 ", "3/1/2", "a/b"} {
		_, err := history.ParseID(s)
		require.Error(t, err, s)
	}
}

func TestReportCountsAndShowsAFew(t *testing.T) {
	var all []history.Anomaly
	for range 20 {
		all = append(all, history.Anomaly{Kind: history.LostWrite, Text: "x"})
	}
	all = append(all, history.Anomaly{Kind: history.Duplicate, Text: "y"})
	require.Contains(t, history.Report(all), "1 duplicate, 20 lost-write\n")
	require.Less(t, len(history.Report(all)), 200)
}
