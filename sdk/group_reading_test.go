package sdk_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/sdk/fake"
	"github.com/talos-log/talos/talos"
)

// committed returns what the group has committed of partition 0; -1 for nothing.
func (r *groupRig) committed() talos.Offset {
	r.Helper()
	offsets, err := r.client.GroupOffsets(r.Context(), "readers")
	require.NoError(r, err)
	for _, o := range offsets {
		if o.Partition == 0 {
			return o.Offset
		}
	}
	return -1
}

// At an interval: what is processed is committed with the next tick, not before, and
// what the application still has is not.
func TestCommitsAtAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newGroupRig(t, fake.StartT(t, fake.WithoutNetwork()), 1)
		r.send(3, 1)
		g := r.join(sdk.GroupCommitEvery(time.Minute))
		messages, err := g.Poll(t.Context())
		require.NoError(t, err)
		require.Len(t, messages, 3)
		<-time.After(90 * time.Second)
		require.EqualValues(t, -1, r.committed(), "a tick has passed, but the application has the records still")

		r.send(2, 1)
		messages, err = g.Poll(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, messages)
		require.EqualValues(t, -1, r.committed(), "the next tick has not come")
		<-time.After(time.Minute)
		require.EqualValues(t, 3, r.committed())

		seen := 3 + len(messages)
		for seen < 5 {
			messages, err = g.Poll(t.Context())
			require.NoError(t, err)
			seen += len(messages)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		_, err = g.Poll(ctx) // waits for more, through a tick
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualValues(t, 5, r.committed())
	})
}

// GroupStart counts where nothing is committed, and nowhere else.
func TestWhereAGroupStarts(t *testing.T) {
	for name, test := range map[string]struct {
		start func(later time.Time) sdk.Start
		first talos.Offset
	}{
		"earliest": {func(time.Time) sdk.Start { return sdk.Earliest }, 0},
		"a time":   {sdk.AtTime, 3},
		"latest":   {func(time.Time) sdk.Start { return sdk.Latest }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newGroupRig(t, fake.StartT(t, fake.WithoutNetwork()), 1)
				r.send(3, 1)
				<-time.After(time.Hour)
				later := time.Now()
				r.send(2, 1)
				start := sdk.GroupStart(test.start(later))
				began := make(chan struct{})
				assigned := sdk.GroupOnAssigned(func(_ context.Context, starts map[sdk.GroupPartition]talos.Offset) error {
					require.Equal(t, map[sdk.GroupPartition]talos.Offset{{Topic: "logs"}: test.first}, starts)
					close(began)
					return nil
				})
				first := r.join(start, assigned)
				go func() {
					<-began
					_, err := r.producer.SendSync(context.Background(), 0, talos.Record{})
					if err != nil {
						t.Error(err)
					}
				}()
				messages, err := first.Poll(t.Context())
				require.NoError(t, err)
				require.Equal(t, test.first, messages[0].Offset)
				require.NoError(t, first.Commit(t.Context(), messages[0]))
				require.NoError(t, first.Close(t.Context()))
				next := r.committed()

				r.send(1, 1)
				second := r.join(start)
				messages, err = second.Poll(t.Context())
				require.NoError(t, err)
				require.Equal(t, next, messages[0].Offset, "it goes on where the first one ended")
			})
		})
	}
}

// Retention may take records that a group has not read. Its members do as
// ConsumerOutOfRange says: by default they stop there, with an error that names the
// range, and what is committed stays.
func TestATrimmedGroup(t *testing.T) {
	for name, test := range map[string]struct {
		policy sdk.OutOfRange
		first  talos.Offset
	}{
		"fail":     {sdk.OutOfRangeFail, -1},
		"earliest": {sdk.OutOfRangeEarliest, 6},
		"nearest":  {sdk.OutOfRangeNearest, 6},
		"latest":   {sdk.OutOfRangeLatest, 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newGroupRig(t, fake.StartT(t, fake.WithoutNetwork()), 1)
				r.send(8, 1)
				d, err := r.client.Describe(t.Context(), "logs")
				require.NoError(t, err)
				require.NoError(t, r.client.CommitGroupOffsets(t.Context(), "readers", sdk.GroupOffset{
					GroupPartition: sdk.GroupPartition{Topic: "logs"}, TopicID: d.Topic.ID, Offset: 2,
				}))
				_, err = r.client.DeleteRecords(t.Context(), "logs", 0, 6)
				require.NoError(t, err)

				g := r.join(sdk.GroupReading(sdk.ConsumerOutOfRange(test.policy)))
				if test.first < 0 {
					_, err := g.Poll(t.Context())
					require.ErrorIs(t, err, talos.OffsetOutOfRange)
					require.ErrorContains(t, err, "6")
					_, err = g.Poll(t.Context())
					require.ErrorIs(t, err, talos.OffsetOutOfRange, "and again")
					require.NoError(t, g.Close(t.Context()))
					require.EqualValues(t, 2, r.committed())
					return
				}
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					select {
					case <-time.After(time.Minute):
						_, _ = r.producer.SendSync(context.Background(), 0, talos.Record{})
					case <-stop:
					}
				}()
				messages, err := g.Poll(t.Context())
				require.NoError(t, err)
				require.Equal(t, test.first, messages[0].Offset)
				require.NoError(t, g.Commit(t.Context()))
				require.Greater(t, r.committed(), test.first)
			})
		})
	}
}
