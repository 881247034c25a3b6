package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/talos"
	"pgregory.net/rapid"
)

func valid() Config {
	return Config{
		Workload: Mixed, Partitions: 2, Producers: 2, Consumers: 1, InFlight: 4, Size: 100, Rounds: 3,
		Duration: time.Second, MaxBytes: 1 << 20, Timeout: time.Second,
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	require.NoError(t, valid().Validate())
	for want, spoil := range map[string]func(*Config){
		"size: 15":           func(c *Config) { c.Size = 15 },
		"size: 1048577":      func(c *Config) { c.Size = 1<<20 + 1 },
		"partitions: 0":      func(c *Config) { c.Partitions = 0 },
		"producers: 501":     func(c *Config) { c.Producers = 501 },
		"consumers: 0":       func(c *Config) { c.Consumers = 0 },
		"rounds: 0":          func(c *Config) { c.Rounds = 0 },
		"rate: -1":           func(c *Config) { c.Rate = -1 },
		"in flight: 0, want": func(c *Config) { c.InFlight = 0 },
		"in flight: 1000000": func(c *Config) { c.InFlight, c.Size = 1_000_000, 1000 },
		"duration: -1":       func(c *Config) { c.Duration = -1 },
		"count: -1":          func(c *Config) { c.Count = -1 },
		"warm-up: -1":        func(c *Config) { c.Warmup = -1 },
		"must end a run":     func(c *Config) { c.Duration = 0 },
		"max bytes: 699":     func(c *Config) { c.MaxBytes = 699 },
	} {
		c := valid()
		spoil(&c)
		err := c.Validate()
		require.ErrorIs(t, err, talos.InvalidConfig)
		require.ErrorContains(t, err, want)
	}
	all := Config{}
	require.ErrorContains(t, all.Validate(), "partitions: 0")
	require.ErrorContains(t, all.Validate(), "rounds: 0", "all faults at once")
}

// Whatever the settings, no more than MaxBytes are written.
func TestLegsShareTheBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := valid()
		c.MaxBytes = rapid.Int64Range(1, 1<<40).Draw(t, "max bytes")
		c.Size = rapid.IntRange(loadgen.StampBytes, 1<<20).Draw(t, "size")
		c.Rounds = rapid.IntRange(1, 100).Draw(t, "rounds")
		c.Count = rapid.Int64Range(0, 1<<40).Draw(t, "count")
		require.LessOrEqual(t, int64(c.legs())*c.records()*int64(c.Size), c.MaxBytes)
		c.Workload = CatchUp
		require.LessOrEqual(t, c.records()*int64(c.Size), c.MaxBytes, "it writes once")
	})
}
