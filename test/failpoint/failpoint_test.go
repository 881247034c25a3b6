package failpoint_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/coordinator"
	coordmem "github.com/talos-log/talos/coordinator/mem"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/failpoint"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseIsTheStrictInverseOfString(t *testing.T) {
	for _, s := range []string{"create:after:3", "append:half:1", "manifest-seal:before:2", "raise:before:1"} {
		p, err := failpoint.Parse(s)
		require.NoError(t, err)
		require.Equal(t, s, p.String())
	}
	for _, s := range []string{
		"", "create", "create:after", "create:after:0", "create:after:x", "create:during:1",
		"seal:half:1", "manifest-raise:after:1", "other:after:1", "create:after:1:1",
	} {
		_, err := failpoint.Parse(s)
		require.Error(t, err, s)
	}
}

// died is how a trap ends the goroutine in a test, in place of the process.
type died struct{ at failpoint.Point }

// until runs f, and returns the point at which the trap sprang.
func until(t *testing.T, text string, f func(*failpoint.Trap)) (at string) {
	t.Helper()
	point, err := failpoint.Parse(text)
	require.NoError(t, err)
	defer func() {
		if r := recover(); r != nil {
			d, ok := r.(died)
			require.True(t, ok, "%v", r)
			at = d.at.String()
		}
	}()
	f(failpoint.NewTrap(point, func(p failpoint.Point) { panic(died{p}) }))
	return ""
}

func segment(n int) storage.ID { return storage.ID{Folder: "topic/0", Name: fmt.Sprintf("s%d", n)} }

func TestTheStoreIsLeftAsThePointSays(t *testing.T) {
	tests := map[string]struct {
		sizes []int64 // of the segments that exist afterwards
	}{
		"list:before:1":         {[]int64{}},
		"create:before:1":       {[]int64{}},
		"create:half:1":         {[]int64{2}},
		"create:after:1":        {[]int64{4}},
		"create:before:2":       {[]int64{10}},
		"seal:before:1":         {[]int64{10}},
		"seal:after:1":          {[]int64{10}},
		"open:before:1":         {[]int64{10, 4}},
		"recover:after:1":       {[]int64{10, 4}},
		"create:after:3":        {[]int64{10, 4}},
		"manifest-list:after:1": {[]int64{10, 4}},
	}
	for text, test := range tests {
		t.Run(text, func(t *testing.T) {
			inner := mem.New()
			sprang := until(t, text, func(trap *failpoint.Trap) {
				s := failpoint.Store(inner, trap, nil)
				_, err := s.List(t.Context(), "topic/0")
				require.NoError(t, err)
				a, err := s.Create(t.Context(), segment(1), []byte("head"), talos.Sync)
				require.NoError(t, err)
				acked := make(chan error, 1)
				a.Append([]byte("append"), func(err error) { acked <- err })
				require.NoError(t, <-acked)
				require.NoError(t, a.Seal(t.Context()))
				_, err = s.Create(t.Context(), segment(2), []byte("head"), talos.Sync)
				require.NoError(t, err)
				_, err = s.Open(t.Context(), segment(1))
				require.NoError(t, err)
				_, err = s.Recover(t.Context(), segment(1))
				require.NoError(t, err)
				_, err = s.List(t.Context(), "topic")
				require.NoError(t, err)
			})
			if text != "create:after:3" {
				require.Equal(t, text, sprang)
			} else {
				require.Empty(t, sprang, "there is no third create")
			}
			listing, err := inner.List(t.Context(), "topic/0")
			require.NoError(t, err)
			sizes := []int64{}
			for _, info := range listing.Segments {
				sizes = append(sizes, info.Size)
			}
			require.Equal(t, test.sizes, sizes)
		})
	}
}

func TestAnAppendDiesBetweenDurableAndAcknowledged(t *testing.T) {
	for _, test := range []struct {
		text string
		size int64
	}{{"append:half:1", 4 + 3}, {"append:after:1", 4 + 6}} {
		inner := mem.New()
		sprang := make(chan failpoint.Point, 1)
		point, err := failpoint.Parse(test.text)
		require.NoError(t, err)
		trap := failpoint.NewTrap(point, func(p failpoint.Point) { sprang <- p })
		a, err := failpoint.Store(inner, trap, nil).Create(t.Context(), segment(1), []byte("head"), talos.Sync)
		require.NoError(t, err)
		a.Append([]byte("append"), func(error) {})
		require.Equal(t, point, <-sprang)
		a.Abandon()
		info, err := inner.Recover(t.Context(), segment(1))
		require.NoError(t, err)
		require.Equal(t, test.size, info.Size)
	}
}

func TestTheRecordIsLeftAsThePointSays(t *testing.T) {
	tests := map[string]talos.PartitionRecord{
		"load:after:1":   {},
		"raise:before:1": {},
		"raise:after:1":  {Epoch: 1},
		"load:before:2":  {Epoch: 1},
		"swap:before:1":  {Epoch: 1},
		"swap:after:1":   {Epoch: 1, Tail: 1},
		"raise:after:2":  {Epoch: 2, Tail: 1},
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			kv := coordmem.New()
			topic := talos.Topic{Name: "logs", ID: talos.NewTopicID(), Partitions: 1}
			id := talos.PartitionID{Topic: topic.ID}
			open := func(kv coordinator.KV) *coordinator.Meta {
				meta, err := coordinator.Open(t.Context(), kv, coordinator.Node{ID: "n", Address: "h:1"}, slog.New(slog.DiscardHandler))
				require.NoError(t, err)
				t.Cleanup(meta.Close)
				require.NoError(t, meta.Register(t.Context()))
				return meta
			}
			first := open(kv)
			require.NoError(t, first.CreateTopic(t.Context(), topic, nil))
			planning, stop := context.WithCancel(t.Context())
			planned := make(chan struct{})
			go func() {
				defer close(planned)
				first.Schedule(planning)
			}()
			require.Eventually(t, func() bool { return first.View().Owner(id).Owner == "n" }, 30*time.Second, time.Millisecond)
			stop()
			<-planned
			sprang := until(t, text, func(trap *failpoint.Trap) {
				record := open(failpoint.KV(kv, trap)).Record(id)
				old, err := record.Raise(t.Context())
				require.NoError(t, err)
				next := old
				next.Tail = 1
				require.NoError(t, record.Swap(t.Context(), old, next))
				_, err = record.Raise(t.Context())
				require.NoError(t, err)
			})
			require.Equal(t, text, sprang)
			got, err := open(kv).Record(id).Read(t.Context())
			require.NoError(t, err)
			want.Start.Number = 1
			require.Equal(t, want, got)
		})
	}
}

func TestTheGaugeShowsAppendsInFlight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gauge")
	gauge, err := failpoint.OpenGauge(path)
	require.NoError(t, err)
	a, err := failpoint.Store(mem.New(), failpoint.NewTrap(failpoint.Point{}, nil), gauge).Create(t.Context(), segment(1), []byte("head"), talos.Sync)
	require.NoError(t, err)

	seen, released := make(chan struct{}), make(chan struct{})
	a.Append([]byte("one"), func(error) {
		close(seen)
		<-released
	})
	a.Append([]byte("two"), func(error) {})
	<-seen
	issued, completed, err := failpoint.ReadGauge(path)
	require.NoError(t, err)
	require.Equal(t, []uint64{2, 1}, []uint64{issued, completed})
	close(released)
	require.NoError(t, a.Seal(t.Context()))
	issued, completed, err = failpoint.ReadGauge(path)
	require.NoError(t, err)
	require.Equal(t, issued, completed)
	require.NoError(t, gauge.Close())

	gauge, err = failpoint.OpenGauge(path)
	require.NoError(t, err)
	issued, _, err = failpoint.ReadGauge(path)
	require.NoError(t, err)
	require.Zero(t, issued, "a new process starts at zero")
	require.NoError(t, gauge.Close())
	_, _, err = failpoint.ReadGauge(filepath.Join(t.TempDir(), "none"))
	require.Error(t, err)
}
