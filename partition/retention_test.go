package partition

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
)

// soon is when retention has looked again, and what it gave up is removed.
const soon = 2*retainInterval + removeDelay + time.Second

// kilobytes appends n batches of a kilobyte each.
func (r *rig) kilobytes(l *Log, n int) {
	r.t.Helper()
	for range n {
		r.append(l, plain(strings.Repeat("x", 1000)))
	}
}

// stamped is a batch whose client says that its records are from another time.
func stamped(text string, at time.Time) []byte {
	b := plain(text)
	binary.BigEndian.PutUint64(b[27:], uint64(at.UnixMilli()))
	binary.BigEndian.PutUint64(b[35:], uint64(at.UnixMilli()))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func TestRecordsExpireByTheTimeOfTheirAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.topic.Config.RetentionMillis = time.Hour.Milliseconds()
		l := r.open("a")
		r.append(l, stamped("from the future", time.Now().AddDate(100, 0, 0)))
		r.kilobytes(l, 199)
		advance(30 * time.Minute)
		r.kilobytes(l, 200)
		require.Equal(t, talos.Offset(0), l.Range().Start)

		advance(30*time.Minute + soon)
		start := l.Range().Start
		require.Greater(t, start, talos.Offset(100), "whatever the client's clock says")
		require.LessOrEqual(t, start, talos.Offset(200), "these are not old enough")
		require.Equal(t, talos.Offset(400), l.Range().End)
		require.Equal(t, fmt.Sprintf("a%012d", l.rec.Start.Number), r.segments()[0][:13], "what expired is gone from the store")
		require.NoError(t, l.Close(t.Context()))
	})
}

// Rolls plan the next look anew, and a busy partition rolls more often than it
// looks.
func TestABusyPartitionLooksWhileItRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.topic.Config.RetentionBytes = talos.MinSegmentBytes
		l := r.open("a")
		require.Greater(t, l.retention.spread, time.Second)
		for second := range int64(180) {
			r.kilobytes(l, 100)
			advance(time.Second)
			behind := time.Duration(l.Range().End-l.Range().Start) / 100 * time.Second
			require.LessOrEqual(t, behind, 2*retainInterval+10*time.Second, "after %d s", second)
		}
		require.Greater(t, l.rec.Tail, talos.SegmentNumber(90))
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestAnIdlePartitionExpiresWholeAndThenCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.topic.Config.RetentionMillis = time.Hour.Milliseconds()
		l := r.open("a")
		r.append(l, idempotent("x", 7, 0, 0))
		advance(time.Hour + soon)
		require.Equal(t, talos.OffsetRange{Start: 1, End: 1}, l.Range())
		require.Len(t, r.segments(), 1, "an empty one, which keeps the end and the producers")
		require.True(t, l.retention.at.IsZero(), "nothing to wait for")
		before := r.records.rec
		advance(100 * time.Hour)
		require.Equal(t, before, r.records.rec)
		require.NoError(t, l.Close(t.Context()))

		l = r.open("b")
		require.Equal(t, talos.OffsetRange{Start: 1, End: 1}, l.Range())
		again := <-send(l, idempotent("x", 7, 0, 0))
		require.NoError(t, again.err)
		require.True(t, again.Duplicate)
		require.Equal(t, talos.Offset(1), r.append(l, idempotent("y", 7, 0, 1)).Base)
		require.NoError(t, l.Close(t.Context()))
	})
}

// Retention of idle partitions asks nothing of the store and of the record until
// something expires.
func TestIdlePartitionsWaitWithoutAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 200
		store, asked := &watched{Store: mem.New()}, 0
		tails, history := NewTails(0), NewHistory(0)
		var logs []*Log
		for i := range partitions {
			r := newRig(t)
			r.store, r.topic.ID = store, talos.TopicID{1, byte(i)}
			r.topic.Config.RetentionMillis = (7 * 24 * time.Hour).Milliseconds()
			cfg := r.config("a")
			cfg.Tails, cfg.History = tails, history
			l, err := Open(t.Context(), cfg)
			require.NoError(t, err)
			r.append(l, plain("x"))
			r.records.before = func(string) error { asked++; return nil }
			logs = append(logs, l)
		}
		advance(6 * 24 * time.Hour)
		opens, _, reads := store.counts()
		require.Equal(t, []int{0, 0, 0}, []int{opens, reads, asked})
		require.LessOrEqual(t, tails.Bytes(), int64(partitions*1024))
		require.Zero(t, history.Bytes())
		for _, l := range logs {
			require.NoError(t, l.Close(t.Context()))
		}
		history.Close()
	})
}

func TestTheAgeOfAnEarlierOwnersSegmentsIsReadFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		r.kilobytes(l, 200)
		require.NoError(t, l.Close(t.Context()))
		advance(30 * time.Minute)
		l = r.open("b")
		r.kilobytes(l, 1)
		require.NoError(t, l.Close(t.Context()))
		advance(time.Hour)

		r.topic.Config.RetentionMillis = (80 * time.Minute).Milliseconds()
		l = r.open("c")
		advance(soon)
		require.Equal(t, talos.OffsetRange{Start: 200, End: 201}, l.Range())
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestASegmentWhoseAgeCanNotBeReadStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		r.kilobytes(l, 200)
		require.NoError(t, l.Close(t.Context()))
		advance(2 * time.Hour)

		unreadable := &watched{Store: r.store}
		r.store, r.topic.Config.RetentionMillis = unreadable, time.Hour.Milliseconds()
		l = r.open("b")
		unreadable.mu.Lock()
		unreadable.fail = 1
		unreadable.mu.Unlock()
		advance(soon)
		require.Equal(t, talos.Offset(0), l.Range().Start)
		advance(retainRetry + soon)
		require.Equal(t, talos.Offset(200), l.Range().Start, "asked again")
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestThePartitionKeepsTheBytesThatItsTopicSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.topic.Config.RetentionBytes = 3 * talos.MinSegmentBytes
		l := r.open("a")
		r.kilobytes(l, 600)
		require.Greater(t, l.Stats().Bytes, int64(8*talos.MinSegmentBytes))
		advance(soon)
		require.GreaterOrEqual(t, l.Stats().Bytes, int64(3*talos.MinSegmentBytes))
		require.Less(t, l.Stats().Bytes, int64(4*talos.MinSegmentBytes+8192))
		require.Len(t, r.values(l, l.Range().Start), int(600-l.Range().Start))
		require.Len(t, r.segments(), l.Stats().Segments)
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestDeletedRecordsLeaveTheStoreOnceTheirSegmentIsRolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		removed := int64(0)
		cfg := r.config("a")
		cfg.Removed = func(_ int, bytes int64) { removed += bytes }
		l, err := Open(t.Context(), cfg)
		require.NoError(t, err)
		r.kilobytes(l, 10)
		require.NoError(t, l.Trim(t.Context(), 10))
		advance(soon)
		require.Len(t, r.segments(), 1, "it has the end")
		config := r.topic.Config
		config.Durability = talos.Flush
		require.NoError(t, l.Configure(t.Context(), config), "which seals it")
		r.kilobytes(l, 1)
		require.Len(t, r.segments(), 2)
		advance(soon)
		require.Len(t, r.segments(), 1, "nobody has to ask again")
		require.Greater(t, removed, int64(10_000))
		require.Equal(t, talos.OffsetRange{Start: 10, End: 11}, l.Range())
		require.NoError(t, l.Close(t.Context()))
	})
}

// What the start has passed goes after the delay and the gap, however often it moves.
func TestTrimsThatFollowEachOtherPutNoRemovalOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const step = 3 * time.Second
		r := newRig(t)
		l := r.open("a")
		r.kilobytes(l, 600)
		var starts []talos.SegmentNumber // at each step
		for o := talos.Offset(10); o <= 590; o += 10 {
			require.NoError(t, l.Trim(t.Context(), o))
			starts = append(starts, l.view.Load().chain[0].name.Number)
			advance(step)
			synctest.Wait()
			if passed := len(starts) - 1 - int((removeDelay+sweepGap)/step); passed >= 0 {
				oldest, err := talos.ParseSegmentName(r.segments()[0])
				require.NoError(t, err)
				require.GreaterOrEqual(t, oldest.Number, starts[passed], "at offset %d", o)
				require.LessOrEqual(t, oldest.Number, starts[len(starts)-int(removeDelay/step)], "readers may still be at it")
			}
		}
		require.NoError(t, l.Close(t.Context()))
	})
}

func TestConfigurationChangesWithoutReopening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var made []talos.Durability
		r.store = &created{r.store, &made}
		l := r.open("a")
		r.kilobytes(l, 1)
		config := r.topic.Config
		config.Durability, config.RetentionMillis = talos.Flush, 1000
		require.NoError(t, l.Configure(t.Context(), config))
		require.Nil(t, l.view.Load().open, "its appender syncs")
		r.kilobytes(l, 1)
		require.Equal(t, []talos.Durability{talos.Sync, talos.Flush}, made)
		require.NoError(t, l.Configure(t.Context(), config))
		require.NotNil(t, l.view.Load().open, "nothing changed")
		advance(soon)
		require.Equal(t, talos.OffsetRange{Start: 2, End: 2}, l.Range())
		require.NoError(t, l.Close(t.Context()))
		require.ErrorIs(t, l.Configure(t.Context(), config), talos.NotServing)
	})
}

// created notes with which durability segments were made.
type created struct {
	storage.Store
	made *[]talos.Durability
}

func (c *created) Create(ctx context.Context, id storage.ID, head []byte, d talos.Durability) (storage.Appender, error) {
	*c.made = append(*c.made, d)
	return c.Store.Create(ctx, id, head, d)
}

func TestOffsetForTimeGoesByTheTimeOfAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		l := r.open("a")
		begin := time.Now()
		empty, err := l.OffsetForTime(t.Context(), begin)
		require.NoError(t, err)
		require.Equal(t, talos.Offset(0), empty)
		for i := range 300 {
			r.append(l, stamped(strings.Repeat("x", 1000), begin.AddDate(0, 0, -i)))
			advance(time.Second)
		}
		check := func(l *Log) {
			for _, c := range []struct {
				at   time.Duration
				want talos.Offset
			}{
				{-time.Hour, l.Range().Start},
				{0, l.Range().Start},
				{100 * time.Second, 100},
				{100*time.Second + 1e6, 101},
				{299 * time.Second, 299},
				{299*time.Second + 1e6, 300},
				{time.Hour, 300},
			} {
				got, err := l.OffsetForTime(t.Context(), begin.Add(c.at))
				require.NoError(t, err)
				require.Equal(t, c.want, got, "after %v", c.at)
			}
			for i := l.Range().Start; i < 300; i += 7 {
				got, err := l.OffsetForTime(t.Context(), begin.Add(time.Duration(i)*time.Second))
				require.NoError(t, err)
				require.Equal(t, i, got)
			}
		}
		check(l)
		require.NoError(t, l.Trim(t.Context(), 90))
		check(l)
		require.NoError(t, l.Close(t.Context()))
		l = r.open("b")
		check(l)
		require.NoError(t, l.Close(t.Context()))
		_, err = l.OffsetForTime(t.Context(), begin)
		require.ErrorIs(t, err, talos.NotServing)
	})
}
