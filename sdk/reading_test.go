package sdk_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

func TestRecords(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0", "1", "2")
		n.put(t, 0, batch.None, "3")
		c := consumer(t, client)
		var got []string
		for m, err := range c.Records(t.Context()) {
			require.NoError(t, err)
			got = append(got, string(m.Value))
			require.Equal(t, m.Offset+1, c.Position(0), "behind what was yielded")
			if len(got) == 2 {
				break
			}
		}
		require.Equal(t, []string{"0", "1"}, got)
		require.Equal(t, []string{"2", "3"}, poll(t, c), "what was taken and not yielded")

		require.NoError(t, c.Seek(0, 0))
		for m, err := range c.Records(t.Context()) {
			require.NoError(t, err)
			got = append(got, string(m.Value))
			if m.Offset == 1 {
				require.NoError(t, c.Seek(0, 3), "within the loop")
			}
			if m.Offset == 3 {
				break
			}
		}
		require.Equal(t, []string{"0", "1", "0", "1", "3"}, got)
	})
}

func TestRecordsEnds(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0", "1")
		c := consumer(t, client)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var errs []error
		for m, err := range c.Records(ctx) {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			require.Equal(t, "0", string(m.Value))
			cancel()
		}
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], context.Canceled)
		require.ErrorIs(t, errs[0], talos.Canceled)
		require.Equal(t, []string{"1"}, poll(t, c))

		time.AfterFunc(time.Second, func() { require.NoError(t, c.Close()) })
		errs = nil
		for _, err := range c.Records(t.Context()) {
			errs = append(errs, err)
		}
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], talos.Closed)
	})
}

// An error about a partition does not end the loop: the body decides.
func TestRecordsGoesOnBehindADamagedBatch(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for _, v := range []string{"0", "damaged", "2"} {
			n.put(t, 0, batch.None, v)
		}
		n.partitions[0].batches[1][batch.HeaderSize] ^= 1
		c := consumer(t, client)
		var got []string
		for m, err := range c.Records(t.Context()) {
			var bad *sdk.BatchError
			if errors.As(err, &bad) {
				got = append(got, "skipped")
				require.NoError(t, c.Seek(bad.Partition, bad.Next))
				continue
			}
			require.NoError(t, err)
			if got = append(got, string(m.Value)); m.Offset == 2 {
				break
			}
		}
		require.Equal(t, []string{"0", "skipped", "2"}, got)
	})
}

// A damaged batch is fetched a second time, and then left out and counted, if the
// application wants that: also one that inflates to more than the bound.
func TestSkipDamaged(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0")
		n.put(t, 0, batch.None, "1", "2")
		n.put(t, 0, batch.None, "3")
		n.put(t, 0, batch.Zstd, string(make([]byte, talos.MaxInflatedBytes+1)))
		n.put(t, 0, batch.None, "5")
		n.partitions[0].batches[1][batch.HeaderSize] ^= 1
		var told []talos.Offset
		c := consumer(t, client, sdk.ConsumerSkipDamaged(func(e *sdk.BatchError) {
			require.ErrorIs(t, e, talos.UndecodableBatch)
			told = append(told, e.Base, e.Next)
		}))
		require.Equal(t, []string{"0", "3", "5"}, pollN(t, c, 3))
		require.Equal(t, []talos.Offset{1, 3, 4, 5}, told)
		require.Equal(t, sdk.ConsumerStats{SkippedBatches: 2, SkippedOffsets: 3}, c.Stats())
		require.EqualValues(t, 6, c.Position(0))
	})
}

// What was damaged on its way only is not left out.
func TestSkipDamagedTriesTwice(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0")
		once := true
		n.spoil = func(b []byte) {
			if once {
				b[batch.HeaderSize] ^= 1
			}
			once = false
		}
		c := consumer(t, client, sdk.ConsumerSkipDamaged(nil))
		require.Equal(t, []string{"0"}, poll(t, c))
		require.Zero(t, c.Stats())
	})
}

func TestOutOfRangePolicies(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy sdk.OutOfRange
		at     talos.Offset
		want   string
	}{
		{"below, earliest", sdk.OutOfRangeEarliest, 0, "1"},
		{"beyond, earliest", sdk.OutOfRangeEarliest, 9, "1"},
		{"below, latest", sdk.OutOfRangeLatest, 0, "3"},
		{"beyond, latest", sdk.OutOfRangeLatest, 9, "3"},
		{"below, nearest", sdk.OutOfRangeNearest, 0, "1"},
		{"beyond, nearest", sdk.OutOfRangeNearest, 9, "3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(1)
			consuming(t, n, func(t *testing.T, client *sdk.Client) {
				for _, v := range []string{"0", "1", "2"} {
					n.put(t, 0, batch.None, v)
				}
				n.partitions[0].start = 1
				reader := consumer(t, client, sdk.ConsumerStart(sdk.At(c.at)), sdk.ConsumerOutOfRange(c.policy))
				time.AfterFunc(time.Second, func() { n.put(t, 0, batch.None, "3") })
				require.Equal(t, c.want, poll(t, reader)[0])
				require.Equal(t, sdk.ConsumerStats{Resets: 1}, reader.Stats())
			})
		})
	}
}

func TestSeekAndStartByTime(t *testing.T) {
	n := newNode(2)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		for i, v := range []string{"0", "1", "2"} {
			n.putAt(t, 0, noon.Add(time.Duration(i)*time.Minute), batch.None, v)
		}
		n.putAt(t, 1, noon, batch.None, "other")
		at := noon.Add(30 * time.Second)

		offsets, err := client.OffsetsAt(t.Context(), "logs", at)
		require.NoError(t, err)
		require.Equal(t, []talos.Offset{1, 1}, []talos.Offset{offsets[0].AtTime, offsets[1].AtTime})

		c := consumer(t, client, sdk.ConsumerStart(sdk.AtTime(at)))
		require.Equal(t, []string{"1", "2"}, poll(t, c))
		require.EqualValues(t, 1, c.Position(1), "none is as late: the end")

		require.NoError(t, c.SeekTime(t.Context(), noon.Add(2*time.Minute)))
		require.Equal(t, []string{"2"}, poll(t, c))
		require.NoError(t, c.SeekTime(t.Context(), time.Unix(-1, 0)))
		require.ElementsMatch(t, []string{"0", "1", "2", "other"}, pollN(t, c, 4))
	})
}

// A node that ignores the time must not send anybody to the wrong place, be it at
// the start, where no range tells.
func TestANodeThatDoesNotKnowTimes(t *testing.T) {
	n := newNode(1)
	n.timeless = true
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0")
		n.put(t, 0, batch.None, "1")
		c := consumer(t, client, sdk.ConsumerStart(sdk.At(1)))
		err := c.SeekTime(t.Context(), noon)
		require.ErrorIs(t, err, talos.Incompatible)
		require.EqualValues(t, 1, c.Position(0), "nothing has changed")
	})
}

// Seek does not wait for the long poll at the old place.
func TestSeekIsNotHeldUpByALongPoll(t *testing.T) {
	n := newNode(1)
	consuming(t, n, func(t *testing.T, client *sdk.Client) {
		n.put(t, 0, batch.None, "0")
		c := consumer(t, client, sdk.ConsumerStart(sdk.Latest))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Poll(ctx)
		require.ErrorIs(t, err, talos.Timeout)
		start := time.Now()
		require.NoError(t, c.Seek(0, 0))
		require.Equal(t, []string{"0"}, poll(t, c))
		require.Zero(t, time.Since(start))
	})
}

// A body that goes on whatever the error does not ask at the speed of the network.
func TestErrorsThatLastAreMetWithADelay(t *testing.T) {
	for _, c := range []struct {
		kind  talos.Kind
		start sdk.Start
		spoil func(n *node)
	}{
		{talos.OffsetOutOfRange, sdk.At(9), func(*node) {}},
		{talos.UndecodableBatch, sdk.At(0), func(n *node) { n.partitions[0].batches[0][batch.HeaderSize] ^= 1 }},
		{talos.CorruptSegment, sdk.At(0), func(n *node) {
			n.partitionFaults[0] = slices.Repeat([]error{talos.CorruptSegment}, 1000)
		}},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			n := newNode(1)
			consuming(t, n, func(t *testing.T, client *sdk.Client) {
				n.put(t, 0, batch.None, "0")
				consumer := consumer(t, client, sdk.ConsumerStart(c.start))
				c.spoil(n)
				start, errs := time.Now(), 0
				for _, err := range consumer.Records(t.Context()) {
					require.ErrorIs(t, err, c.kind)
					if errs++; errs == 20 {
						break
					}
				}
				require.Greater(t, time.Since(start), 5*time.Second)
				require.Less(t, time.Since(start), 20*time.Second)
			})
		})
	}
}
