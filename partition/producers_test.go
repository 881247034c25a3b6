package partition

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"pgregory.net/rapid"
)

func header(producer int64, epoch int16, first, count int32) batch.Header {
	return batch.Header{ProducerID: producer, ProducerEpoch: epoch, FirstSequence: first, LastDelta: count - 1, Records: count}
}

// admitAll adds batches of one record each, one offset after the other.
func admitAll(p *producers, producer int64, from, to int32, acked talos.Offset) {
	for s := from; s < to; s++ {
		p.add(header(producer, 0, s, 1), talos.Offset(s), 0, acked)
	}
}

func TestProducersTellNewFromKnownFromWrong(t *testing.T) {
	for _, c := range []struct {
		what  string
		batch batch.Header
		known talos.Offset // of the batch that it repeats; -1 for none
		kind  talos.Kind
	}{
		{"the next one", header(1, 0, 8, 3), -1, ""},
		{"the newest again", header(1, 0, 7, 1), 7, ""},
		{"the oldest of the window again", header(1, 0, 3, 1), 3, ""},
		{"one from before the window", header(1, 0, 2, 1), -1, talos.DuplicateSequence},
		{"one is missing in between", header(1, 0, 9, 1), -1, talos.OutOfOrderSequence},
		{"overlaps what was stored", header(1, 0, 7, 2), -1, talos.OutOfOrderSequence},
		{"an older producer epoch", header(1, -1, 8, 1), -1, talos.ProducerFenced},
		{"a newer producer epoch", header(1, 1, 0, 1), -1, ""},
		{"a newer producer epoch that does not begin", header(1, 1, 8, 1), -1, talos.OutOfOrderSequence},
		{"another producer", header(2, 0, 0, 1), -1, ""},
		{"another producer that does not begin", header(2, 0, 4, 1), -1, talos.UnknownProducer},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := newProducers()
			admitAll(p, 1, 0, 8, math.MaxInt64)
			known, err := p.check(c.batch)
			if c.kind != "" {
				require.ErrorIs(t, err, c.kind)
				return
			}
			require.NoError(t, err)
			if c.known < 0 {
				require.Nil(t, known)
				return
			}
			require.Equal(t, c.known, known.Base)
		})
	}
}

func TestSequencesGoOnAtZeroBehindTheLargest(t *testing.T) {
	p := newProducers()
	p.add(header(1, 0, math.MaxInt32-1, 4), 0, 0, 100) // sequences max-1, max, 0, 1
	known, err := p.check(header(1, 0, math.MaxInt32-1, 4))
	require.NoError(t, err)
	require.NotNil(t, known)
	known, err = p.check(header(1, 0, 2, 1))
	require.NoError(t, err)
	require.Nil(t, known)
	_, err = p.check(header(1, 0, math.MaxInt32-9, 2))
	require.ErrorIs(t, err, talos.DuplicateSequence)
	_, err = p.check(header(1, 0, 7, 1))
	require.ErrorIs(t, err, talos.OutOfOrderSequence)
}

func TestTruncateTakesBackWhatWasInFlight(t *testing.T) {
	p := newProducers()
	admitAll(p, 1, 0, 10, 10)
	admitAll(p, 1, 10, 17, 10) // 10 to 16 are in flight
	p.add(header(2, 0, 0, 1), 17, 0, 10)
	p.truncate(10)

	_, err := p.check(header(1, 0, 11, 1))
	require.ErrorIs(t, err, talos.OutOfOrderSequence, "10 was taken back")
	for s := int32(5); s < 10; s++ {
		known, err := p.check(header(1, 0, s, 1))
		require.NoError(t, err)
		require.Equal(t, talos.Offset(s), known.Base, "the whole window is still known")
	}
	_, err = p.check(header(2, 0, 1, 1))
	require.ErrorIs(t, err, talos.UnknownProducer, "only its taken-back batch made it known")
}

func TestSnapshotRestoresTheSameAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newProducers()
		next := map[int64]int32{}
		end := talos.Offset(0)
		for range rapid.IntRange(0, 60).Draw(t, "batches") {
			id := rapid.Int64Range(0, 4).Draw(t, "producer")
			count := rapid.Int32Range(1, 3).Draw(t, "records")
			p.add(header(id, 0, next[id], count), end, int64(end), math.MaxInt64)
			next[id] += count
			end += talos.Offset(count)
		}
		restored := newProducers()
		restored.restore(p.snapshot(end))
		for range 50 {
			h := header(rapid.Int64Range(0, 5).Draw(t, "producer"), 0,
				rapid.Int32Range(0, 60).Draw(t, "sequence"), rapid.Int32Range(1, 3).Draw(t, "records"))
			known, err := p.check(h)
			known2, err2 := restored.check(h)
			require.Equal(t, known, known2)
			require.Equal(t, err, err2)
		}
	})
}

// take does what the log does with a batch.
func take(p *producers, h batch.Header, base, acked talos.Offset) error {
	if _, err := p.check(h); err != nil {
		return err
	}
	if err := p.makeRoom(h.ProducerID, acked); err != nil {
		return err
	}
	p.add(h, base, time.Now().UnixMilli(), acked)
	return nil
}

func TestProducersAreBoundedAndNoneIsForgottenThatMaySendItsFirstBatchAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducers()
		for id := range int64(maxProducers) {
			require.NoError(t, take(p, header(id, 0, 0, 1), talos.Offset(id), talos.Offset(id)))
			if id == 9 {
				advance(time.Minute)
			}
		}
		const fresh, next = maxProducers, talos.Offset(maxProducers)
		require.ErrorIs(t, take(p, header(fresh, 0, 0, 1), next, next), talos.TooManyProducers)
		advance(talos.ProducerGrace - time.Minute - 1)
		require.ErrorIs(t, take(p, header(fresh, 0, 0, 1), next, next), talos.TooManyProducers)
		for id := range int64(10) {
			known, err := p.check(header(id, 0, 0, 1))
			require.NoError(t, err)
			require.NotNil(t, known, "sent again, and not stored again")
		}
		require.NoError(t, take(p, header(1, 0, 1, 1), next, next), "who is known goes on")

		advance(1)
		require.ErrorIs(t, take(p, header(fresh, 0, 0, 1), next+1, 0), talos.TooManyProducers, "all are in flight")
		for id := range int64(9) {
			require.NoError(t, take(p, header(fresh+id, 0, 0, 1), next+1, next+1))
		}
		require.ErrorIs(t, take(p, header(fresh+9, 0, 0, 1), next+1, next+1), talos.TooManyProducers)
		require.Len(t, p.byID, maxProducers)
		_, err := p.check(header(0, 0, 1, 1))
		require.ErrorIs(t, err, talos.UnknownProducer, "the ones that had been silent longest are forgotten")
		require.NoError(t, take(p, header(1, 0, 2, 1), next+2, next+2))
		require.LessOrEqual(t, len(p.snapshot(math.MaxInt64)), segment.MaxProducers)
	})
}

func TestSilentProducersExpireByTheTimeOfTheirLastBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducers()
		require.NoError(t, take(p, header(1, 0, 0, 1), 0, 0))
		require.NoError(t, take(p, header(2, 0, 0, 1), 1, 1))
		advance(producerExpiry - time.Second)
		require.NoError(t, take(p, header(2, 0, 1, 1), 2, 2))
		p.expire(time.Now(), 3)
		require.Len(t, p.byID, 2)
		advance(time.Second)

		restored := newProducers()
		restored.restore(p.snapshot(3))
		for _, p := range []*producers{p, restored} {
			p.expire(time.Now(), 3)
			require.Len(t, p.byID, 1)
			require.NotNil(t, p.byID[2])
		}
	})
}

// A clock that is set forward makes all producers look old, and forgets none.
func TestAClockThatJumpsForgetsNoProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducers()
		require.NoError(t, take(p, header(1, 0, 0, 1), 0, 0))
		p.expire(time.Now().Add(100*producerExpiry), 1)
		require.Len(t, p.byID, 1)
	})
}

func TestWhatAnOwnerTookIsKnownToTheNext(t *testing.T) {
	p := newProducers()
	for id := range int64(maxProducers + 10) {
		h := header(id, 0, 0, 1)
		h.Base = talos.Offset(id)
		p.replay(h, time.Now().UnixMilli())
	}
	require.Len(t, p.byID, maxProducers)
	known, err := p.check(header(maxProducers+9, 0, 0, 1))
	require.NoError(t, err)
	require.NotNil(t, known)
}
