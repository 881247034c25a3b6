package bench

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosnode "github.com/talos-log/talos/cmd/talos/internal/node"
	"github.com/talos-log/talos/internal/loadgen"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// serve runs a node in memory, and returns a bench of it. stop ends the node.
func serve(t *testing.T) (cfg Config, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan talosnode.Addresses, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- talosnode.Run(ctx, talosnode.Config{
			Backing: talosnode.Memory(), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
			Started: func(at talosnode.Addresses) { started <- at },
		})
	}()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	at := <-started
	cfg = valid()
	cfg.Dial = func() (*sdk.Client, error) { return sdk.Dial(at.RPC) }
	cfg.Duration, cfg.Count, cfg.Rounds = 0, 50, 2
	cfg.Warmup, cfg.Timeout, cfg.YardstickDir = time.Millisecond, time.Minute, t.TempDir()
	return cfg, stop
}

func topics(t *testing.T, cfg Config) []talos.TopicName {
	t.Helper()
	client, err := cfg.Dial()
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	all, err := client.Topics(t.Context())
	require.NoError(t, err)
	var names []talos.TopicName
	for _, topic := range all {
		names = append(names, topic.Name)
	}
	return names
}

func TestRunMeasuresEachWorkload(t *testing.T) {
	cfg, _ := serve(t)
	for _, test := range []struct {
		workload Workload
		rate     float64
		results  []string
		of       []string // what ratios are of
	}{
		{Produce, 0, []string{loadgen.Produced, diskName, roundTripName}, []string{loadgen.Produced}},
		{Produce, 1e6, []string{loadgen.Produced, diskName, roundTripName}, []string{loadgen.Produced}},
		{Tail, 1e6, []string{loadgen.Produced, loadgen.Consumed, diskName, roundTripName}, []string{loadgen.Consumed}},
		{Mixed, 0, []string{loadgen.Produced, loadgen.Consumed, diskName, roundTripName}, []string{loadgen.Produced, loadgen.Consumed}},
		{CatchUp, 0, []string{loadgen.Consumed, fetchName}, []string{loadgen.Consumed}},
	} {
		t.Run(string(test.workload), func(t *testing.T) {
			cfg := cfg
			cfg.Workload, cfg.Rate = test.workload, test.rate
			var steps []string
			cfg.Step = func(s Step) {
				steps = append(steps, s.Name)
				require.Equal(t, len(steps), s.Number)
				require.Equal(t, 6, s.Of)
			}
			report, err := Run(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, []string{"preparing", "warming up", "round 1, A", "round 1, B", "round 2, B", "round 2, A"}, steps)
			require.Len(t, report.Legs, 4)
			var names []string
			for _, r := range report.Results {
				names = append(names, r.Name)
				if r.Name != fetchName {
					require.EqualValues(t, 4*50, r.Records, "%s: 50 in each leg, without the warm-up", r.Name)
				}
				require.Zero(t, r.Failed)
				require.NotNil(t, r.SpreadPercent)
				require.Equal(t, test.rate > 0 && r.Name == loadgen.Produced, r.Late != nil)
				require.Equal(t, test.workload == CatchUp && r.Name == loadgen.Consumed, r.Latency == nil)
			}
			require.Equal(t, test.results, names)
			compared := map[string]bool{}
			for _, r := range report.Ratios {
				compared[r.Of] = true
				require.Positive(t, r.Ratio)
				require.NotNil(t, r.SpreadPercent)
			}
			require.Len(t, compared, len(test.of))
			for _, of := range test.of {
				require.True(t, compared[of])
			}
			require.Empty(t, topics(t, cfg), "its topic is gone")
		})
	}
}

func TestRunKeepsATopicThatItDidNotMake(t *testing.T) {
	cfg, _ := serve(t)
	client, err := cfg.Dial()
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.CreateTopic(t.Context(), "kept", 3, talos.TopicConfig{})
	require.NoError(t, err)
	cfg.Topic, cfg.Warmup = "kept", 0

	cfg.Workload = Produce
	report, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.EqualValues(t, 3, report.Partitions)
	require.Equal(t, []talos.TopicName{"kept"}, topics(t, cfg))

	// Catching up reads what is there, and adds nothing to it.
	cfg.Workload, cfg.Count = CatchUp, 0
	for range 2 {
		report, err = Run(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, loadgen.Consumed, report.Legs[0].Results[0].Name)
		require.EqualValues(t, 200, report.Legs[0].Results[0].Records, "4 legs have written 50 each")
	}
}

func TestRunEndsAtMaxBytes(t *testing.T) {
	cfg, _ := serve(t)
	cfg.Workload, cfg.Duration, cfg.Count = Produce, time.Hour, 0
	cfg.MaxBytes = int64(cfg.legs()*30*cfg.Size) + 99
	report, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	for _, l := range report.Legs {
		require.EqualValues(t, 30, l.Results[0].Records)
	}
}

// A node that goes away in the middle: what it did not acknowledge failed, there
// is a report of what was measured, and it is said that the topic is left behind.
func TestRunReportsRecordsThatFailed(t *testing.T) {
	cfg, stop := serve(t)
	cfg.Workload, cfg.Timeout = Produce, 3*time.Second
	cfg.Step = func(s Step) {
		if s.Name == "round 1, B" {
			stop()
		}
	}
	report, err := Run(t.Context(), cfg)
	require.ErrorIs(t, err, talos.Timeout)
	require.ErrorContains(t, err, "records failed: ")
	require.ErrorIs(t, err, talos.Unavailable)
	require.ErrorContains(t, err, "is left behind")
	require.NotNil(t, report)
	require.Len(t, report.Legs, 2, "it went no further")
	got := report.Results[0]
	require.EqualValues(t, 50, got.Records, "those of the first leg")
	require.Positive(t, got.Failed)
	require.EqualValues(t, 50, got.Records)
	require.Nil(t, got.SpreadPercent, "there is nothing to compare")
}

func TestInterruptedRunCleansUp(t *testing.T) {
	cfg, _ := serve(t)
	for _, workload := range []Workload{Produce, Mixed, CatchUp} {
		t.Run(string(workload), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := cfg
			cfg.Workload, cfg.Duration, cfg.Count = workload, time.Hour, 1000
			cfg.Step = func(s Step) {
				if s.Name == "round 1, A" {
					cancel()
				}
			}
			report, err := Run(ctx, cfg)
			require.ErrorIs(t, err, talos.Canceled)
			require.Nil(t, report)
			require.Empty(t, topics(t, cfg))
		})
	}
}

func TestRunRefuses(t *testing.T) {
	cfg, _ := serve(t)
	cfg.Topic = "nothing"
	_, err := Run(t.Context(), cfg)
	require.ErrorIs(t, err, talos.UnknownTopic)
	_, err = Run(t.Context(), Config{})
	require.ErrorIs(t, err, talos.InvalidConfig)
	cfg.Topic, cfg.YardstickDir = "", cfg.YardstickDir+"/missing"
	_, err = Run(t.Context(), cfg)
	require.ErrorContains(t, err, "the yardstick fdatasync: ")
	require.Empty(t, topics(t, cfg))
}
