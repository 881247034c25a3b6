package bench

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/internal/loadgen"
)

func TestYardsticksCarryAsManyBytes(t *testing.T) {
	for workload, names := range map[Workload][]string{
		Produce: {diskName, roundTripName}, Mixed: {diskName, roundTripName},
		Tail: {diskName, roundTripName}, CatchUp: {fetchName},
	} {
		t.Run(string(workload), func(t *testing.T) {
			cfg := valid()
			cfg.Workload, cfg.YardstickDir = workload, t.TempDir()
			all, err := openYardsticks(cfg, loadgen.NewPayload())
			require.NoError(t, err)
			defer func() { require.NoError(t, closeYardsticks(all)) }()
			var got []string
			for _, y := range all {
				got = append(got, y.name())
				size := int64(cfg.Size)
				if workload == CatchUp {
					size = pollBytes
				}
				for range 2 { // legs
					s, err := measure(t.Context(), y, 4*size+1, time.Hour)
					require.NoError(t, err)
					require.Equal(t, y.name(), s.Name)
					require.EqualValues(t, 5, s.Records)
					require.EqualValues(t, 5, s.Latencies.Count())
					require.Equal(t, 5*size, s.Bytes)
				}
			}
			require.Equal(t, names, got)
			left, err := os.ReadDir(cfg.YardstickDir)
			require.NoError(t, err)
			require.Empty(t, left, "no file is left behind")
		})
	}
}

func TestYardstickSaysWhereItCannotWrite(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := measure(t.Context(), newDisk(missing, 100, loadgen.NewPayload()), 1, time.Hour)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, missing)
}

// slow is a yardstick of a tenth of a second.
type slow struct{ err error }

func (s *slow) name() string { return "slow" }
func (s *slow) begin() error { return nil }
func (s *slow) end() error   { return nil }
func (s *slow) close() error { return nil }
func (s *slow) do(context.Context, int64) (int64, error) {
	time.Sleep(100 * time.Millisecond)
	return 1, s.err
}

func TestMeasureIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := measure(t.Context(), &slow{}, 1000, time.Second)
		require.NoError(t, err)
		require.EqualValues(t, 10, s.Records, "by time")
		require.Equal(t, time.Second, s.Elapsed)

		s, err = measure(t.Context(), &slow{}, 0, time.Second)
		require.NoError(t, err)
		require.EqualValues(t, 1, s.Records, "once at least")

		_, err = measure(t.Context(), &slow{err: os.ErrClosed}, 1, time.Second)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}
