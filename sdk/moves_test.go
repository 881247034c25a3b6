package sdk_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"pgregory.net/rapid"
)

// A producer goes to each partition's owner, and after a refusal to the one that
// was named, or, if none was, to the one that metadata names.
func TestProducerFollowsTheOwner(t *testing.T) {
	for name, silent := range map[string]bool{"named in the error": false, "looked for": true} {
		t.Run(name, func(t *testing.T) {
			r := newRing(3, 2)
			r.silent = silent
			inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
				p, err := client.NewProducer(t.Context(), "logs")
				require.NoError(t, err)
				for i, to := range []int{0, 1, 2, 2, 0} {
					r.move(0, to)
					d, err := p.SendSync(t.Context(), 0, value(numbered(i)))
					require.NoError(t, err)
					require.EqualValues(t, i, d.Offset)
				}
				seen := r.shared.seen()
				require.EqualValues(t, 8, seen[len(seen)-1].epoch, "the epoch that the refusal told")
				require.NoError(t, p.Close(t.Context()))
			})
		})
	}
}

// While nobody owns a partition its records wait, and those of others don't.
func TestProducerWaitsForAnOwner(t *testing.T) {
	r := newRing(2, 2)
	inRing(t, r, "a:1,b:1", func(t *testing.T, client *sdk.Client) {
		r.move(0, -1)
		p, err := client.NewProducer(t.Context(), "logs", sdk.ProducerDeliveryTimeout(time.Minute))
		require.NoError(t, err)
		var done results
		done.send(t, p, 0, "waits")
		_, err = p.SendSync(t.Context(), 1, value("does not"))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		require.Empty(t, done.all())
		r.move(0, 1)
		require.NoError(t, p.Flush(t.Context()))

		r.move(0, -1)
		_, err = p.SendSync(t.Context(), 0, value("too late"))
		require.ErrorIs(t, err, talos.Timeout)
		require.ErrorIs(t, err, talos.NotOwner, "why")
		require.Error(t, p.Close(t.Context()))
	})
}

// However often a partition moves, and whatever happens to what is under way, each
// record is stored once and in order.
func TestExactlyOnceInOrderThroughMoves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const partitions, members = 2, 3
		plan := draw(rt, passing)
		silent := rapid.Bool().Draw(rt, "silent")
		moves := rapid.SliceOfN(rapid.IntRange(-1, members), len(plan.pauses), len(plan.pauses)).Draw(rt, "moves")
		r := newRing(members, partitions)
		r.silent, r.shared.script = silent, plan.script
		done := make([]results, partitions)
		inRing(t, r, "c:1,a:1", func(t *testing.T, client *sdk.Client) {
			p, err := client.NewProducer(t.Context(), "logs", plan.opts...)
			require.NoError(rt, err)
			for i, pause := range plan.pauses {
				to := int32(i) % partitions
				done[to].send(rt, p, to, numbered(i))
				if moves[i] < members {
					r.move(int32(i/2)%partitions, moves[i])
				}
				time.Sleep(pause)
			}
			for i := range int32(partitions) {
				r.move(i, int(i))
			}
			require.NoError(rt, p.Close(t.Context()))
		})
		for i := range done {
			stored := r.shared.stored(rt, int32(i))
			require.Len(rt, stored, len(done[i].all()))
			for j, got := range done[i].all() {
				require.NoError(rt, got.err)
				require.EqualValues(rt, j, got.delivery.Offset)
				require.Equal(rt, got.value, stored[j])
			}
		}
	})
}

// A member that is gone for good is done without: by calls, producers, consumers.
func TestTheLossOfANode(t *testing.T) {
	for _, addresses := range []string{"a:1,b:1", "a:1"} {
		t.Run(addresses, func(t *testing.T) {
			r := newRing(2, 2)
			inRing(t, r, addresses, func(t *testing.T, client *sdk.Client) {
				p, err := client.NewProducer(t.Context(), "logs")
				require.NoError(t, err)
				c := consumer(t, client)
				for i := range int32(2) {
					_, err := p.SendSync(t.Context(), i, value(fmt.Sprint("before ", i)))
					require.NoError(t, err)
				}
				require.ElementsMatch(t, []string{"before 0", "before 1"}, pollN(t, c, 2))

				r.members[0].kill()
				time.AfterFunc(7*time.Second, func() { r.move(0, 1) })
				for i := range int32(2) {
					_, err := p.SendSync(t.Context(), i, value(fmt.Sprint("behind ", i)))
					require.NoError(t, err)
				}
				require.ElementsMatch(t, []string{"behind 0", "behind 1"}, pollN(t, c, 2))
				_, err = client.Topics(t.Context())
				require.NoError(t, err)
				_, err = client.NewConsumer(t.Context(), "logs")
				require.NoError(t, err)
				require.NoError(t, p.Close(t.Context()))
			})
		})
	}
}

// pollN polls until it has n records.
func pollN(t *testing.T, c *sdk.Consumer, n int) []string {
	var got []string
	for len(got) < n {
		got = append(got, poll(t, c)...)
	}
	return got
}

// A consumer asks all owners at the same time, and follows each partition.
func TestConsumerFollowsTheOwners(t *testing.T) {
	r := newRing(3, 3)
	inRing(t, r, "b:1", func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client)
		for i := range int32(3) {
			r.shared.put(t, i, batch.None, fmt.Sprint("first ", i))
		}
		require.ElementsMatch(t, []string{"first 0", "first 1", "first 2"}, pollN(t, c, 3))
		start := time.Now()
		for i := range int32(3) {
			r.move(i, (int(i)+1)%3)
			r.shared.put(t, i, batch.None, fmt.Sprint("second ", i))
		}
		require.ElementsMatch(t, []string{"second 0", "second 1", "second 2"}, pollN(t, c, 3))
		require.Less(t, time.Since(start), 6*time.Second)
		synctest.Wait()
		r.shared.mu.Lock()
		defer r.shared.mu.Unlock()
		last := r.shared.fetches[len(r.shared.fetches)-1]
		require.EqualValues(t, 4, last.GetPartitions()[0].GetEpoch(), "the highest epoch that was seen")
	})
}

func TestNewPartitionsAreFound(t *testing.T) {
	r := newRing(2, 1)
	interval := sdk.WithMetadataInterval(20 * time.Second)
	inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
		p, err := client.NewProducer(t.Context(), "logs")
		require.NoError(t, err)
		whole, one := consumer(t, client, sdk.ConsumerStart(sdk.Latest)), consumer(t, client, sdk.ConsumerPartitions(0))
		_, err = p.SendSync(t.Context(), 1, value("too early"))
		require.ErrorIs(t, err, talos.UnknownPartition)
		r.grow(1)
		r.shared.put(t, 1, batch.None, "put before anybody knew")
		time.Sleep(21 * time.Second)
		require.EqualValues(t, 2, p.Partitions())
		_, err = p.SendSync(t.Context(), 1, value("sent"))
		require.NoError(t, err)
		require.Equal(t, []string{"put before anybody knew", "sent"}, pollN(t, whole, 2))
		require.Equal(t, []int32{0, 1}, whole.Partitions())
		require.Equal(t, []int32{0}, one.Partitions(), "it reads what it was told to")
		require.NoError(t, p.Close(t.Context()))
	}, interval)
}

// Where a node is reached under the address that Dial was given, it is not dialed
// under the one that it advertises.
func TestTheAddressThatWorksIsKept(t *testing.T) {
	r := newRing(1, 1)
	inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
		r.mu.Lock()
		r.members[0].address = "inside:1"
		outside := r.members[0].listener
		r.members = append(r.members, &member{node: r.shared, ring: r, number: 9, address: "a:1", listener: outside, alive: true, stop: func() {}})
		r.mu.Unlock()
		p, err := client.NewProducer(t.Context(), "logs")
		require.NoError(t, err)
		_, err = p.SendSync(t.Context(), 0, value("x"))
		require.NoError(t, err)
		require.Equal(t, map[string]int{"a:1": 1}, r.dials)
		require.NoError(t, p.Close(t.Context()))
	})
}

// An idle producer keeps no goroutine busy, and a closed client none at all.
func TestAProducerThatIsIdle(t *testing.T) {
	r := newRing(2, 2)
	inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
		p, err := client.NewProducer(t.Context(), "logs")
		require.NoError(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		_, err = p.SendSync(t.Context(), 1, value("x"))
		require.NoError(t, err)
	})
}

// Two nodes that each say that the other one owns a partition are not asked all the
// time.
func TestNodesThatNameEachOther(t *testing.T) {
	r := newRing(2, 1)
	inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
		c := consumer(t, client)
		p, err := client.NewProducer(t.Context(), "logs")
		require.NoError(t, err)
		r.setQuarrel(true)
		time.AfterFunc(time.Minute, func() { r.setQuarrel(false) })
		_, err = p.SendSync(t.Context(), 0, value("x"))
		require.NoError(t, err)
		require.Equal(t, []string{"x"}, poll(t, c))
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Less(t, r.refusals, 400)
		require.Greater(t, r.refusals, 50)
	})
}

// What is in flight when a partition moves is answered by the owner before, one way
// or the other, and only then goes to the next one: in order, and each once.
func TestAMoveWithBatchesInFlight(t *testing.T) {
	for _, moved := range []int{0, 2, 4} { // behind which batch
		t.Run(numbered(moved), func(t *testing.T) {
			r := newRing(2, 1)
			inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
				p, err := client.NewProducer(t.Context(), "logs")
				require.NoError(t, err)
				hold := make(chan struct{})
				r.shared.each(at(map[int]fault{moved: {hold: hold}}))
				done := sendFive(t, p)
				done.send(t, p, 0, numbered(5))
				synctest.Wait()
				r.move(0, 1)
				start := time.Now()
				close(hold)
				require.NoError(t, p.Flush(t.Context()))
				require.Less(t, time.Since(start), time.Second)
				for i, got := range done.all() {
					require.NoError(t, got.err)
					require.Equal(t, numbered(i), got.value)
					require.EqualValues(t, i, got.delivery.Offset)
				}
				require.Len(t, done.all(), 6)
				require.NoError(t, p.Close(t.Context()))
			})
			require.Len(t, r.shared.stored(t, 0), 6)
		})
	}
}

// A node that was deposed names an owner of before: nobody goes there.
func TestAnOwnerOfAnEarlierEpochIsNotFollowed(t *testing.T) {
	r := newRing(1, 1)
	inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
		p, err := client.NewProducer(t.Context(), "logs")
		require.NoError(t, err)
		_, err = p.SendSync(t.Context(), 0, value("0"))
		require.NoError(t, err)
		c := consumer(t, client)
		require.Equal(t, []string{"0"}, poll(t, c))

		deposed := &talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Address: "gone:1", Epoch: 2}}
		r.shared.each(func(i int, _ batch.Header) fault {
			if i == 1 {
				return fault{err: deposed}
			}
			return fault{}
		})
		_, err = p.SendSync(t.Context(), 0, value("1"))
		require.NoError(t, err)
		r.shared.mu.Lock()
		r.shared.partitionFaults[0] = []error{deposed}
		r.shared.mu.Unlock()
		require.Equal(t, []string{"1"}, poll(t, c))
		require.Zero(t, r.dials["gone:1"])
		require.NoError(t, p.Close(t.Context()))
	})
}

// Metadata that is behind does not move what works.
func TestMetadataThatIsBehind(t *testing.T) {
	r := newRing(2, 1)
	inRing(t, r, "a:1", func(t *testing.T, client *sdk.Client) {
		p, err := client.NewProducer(t.Context(), "logs")
		require.NoError(t, err)
		c := consumer(t, client)
		r.mu.Lock()
		r.told = []int{0}
		r.mu.Unlock()
		r.move(0, 1)
		for i := range 5 {
			_, err := p.SendSync(t.Context(), 0, value(numbered(i)))
			require.NoError(t, err)
			require.Equal(t, []string{numbered(i)}, poll(t, c))
			time.Sleep(40 * time.Second)
		}
		r.mu.Lock()
		require.LessOrEqual(t, r.refusals, 2, "one for the producer, one for the consumer")
		r.mu.Unlock()
		require.NoError(t, p.Close(t.Context()))
	})
}
