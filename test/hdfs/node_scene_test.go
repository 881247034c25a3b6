package hdfs_test

import (
	"bytes"
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/load"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
)

// instrumented is the program that shows its appends in flight.
var instrumented = process.Builder{Tags: []string{"failpoints"}}

// nodeScene is `talos dev` over a folder of the test's own on HDFS, and its topic.
func nodeScene(t *testing.T, store string, partitions int32, cfg talos.TopicConfig) *scene.Scene {
	t.Helper()
	timed(t)
	return scene.New(t, scene.Config{Program: &released, Partitions: partitions, Topic: cfg, Args: []string{"--store", store}})
}

// produce starts two producers that leave the processors to the daemons that are
// started meanwhile.
func produce(s *scene.Scene) *load.Producers {
	s.T.Helper()
	return s.Load(load.Plan{Codecs: scene.Codecs()[:2], Window: 64, Rate: 500})
}

// timed says how long the test took.
func timed(t *testing.T) {
	t.Helper()
	begun := time.Now()
	t.Cleanup(func() { t.Logf("took %v", time.Since(begun).Round(100*time.Millisecond)) })
}

// pageMetric reads a number from the node's /metrics.
func pageMetric(t *testing.T, n *process.Node, name string) float64 {
	t.Helper()
	value, err := n.Metric(t.Context(), name)
	require.NoError(t, err)
	return value
}

// awaitAllReplicas waits until every DataNode serves and each open segment is on
// three of them.
func awaitAllReplicas(s *scene.Scene, c *hadoop.Cluster) {
	s.T.Helper()
	c.Restore(s.T)
	s.Await("segments don't get their replicas back", func() bool {
		return pageMetric(s.T, s.Node, "talos_hdfs_degraded_segments") == 0
	})
}

// command runs the program to its end.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	binary, err := released.Binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	// The exit code is the caller's to judge.
	_ = cmd.Run()
	return out.String(), words.String(), cmd.ProcessState.ExitCode()
}
