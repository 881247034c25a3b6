package upgrade_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/talos/batch"
	"github.com/talos-log/talos/test/history"
	"github.com/talos-log/talos/test/load"
)

const (
	// rate is what each producer sends in a second, at most window under way.
	rate   = 500
	window = 200
	// enough is how many records are acknowledged between two restarts.
	enough = 500
)

// traffic is two producers and a reader that follows. None may meet an error.
type traffic struct {
	t         *testing.T
	address   string
	history   *history.History
	producers *load.Producers
	reader    *load.Reader
	unread    context.CancelFunc
	followed  chan error
}

func startTraffic(t *testing.T, address string) *traffic {
	t.Helper()
	lines, err := load.Lines("../..")
	require.NoError(t, err)
	tr := &traffic{t: t, address: address, history: history.New(), followed: make(chan error, 1)}
	tr.producers, err = load.StartProducers(t.Context(), load.Plan{
		Address: address, Topic: topic, Codecs: []batch.Codec{batch.None, batch.Zstd},
		Window: window, Rate: rate, Lines: lines, History: tr.history,
	})
	require.NoError(t, err)
	tr.reader, err = load.OpenReader(t.Context(), address, topic, tr.history, "follower")
	require.NoError(t, err)
	following, unread := context.WithCancel(t.Context())
	tr.unread = unread
	go func() { tr.followed <- tr.reader.Follow(following) }()
	tr.awaitAcks()
	return tr
}

// awaitAcks waits until enough further records are acknowledged.
func (tr *traffic) awaitAcks() {
	tr.t.Helper()
	since := tr.history.Now()
	require.Eventually(tr.t, func() bool { return tr.history.AckedOfSince(since) >= enough }, patience, tick)
}

// finish ends the traffic and checks the history: no error, nothing lost, nothing
// twice, all in order.
func (tr *traffic) finish() {
	tr.t.Helper()
	tr.producers.Stop()
	require.NoError(tr.t, tr.producers.Wait())
	ends := tr.history.Ends()
	require.Eventually(tr.t, func() bool { return tr.reader.Reached(ends) || len(tr.followed) > 0 }, patience, tick)
	tr.unread()
	require.NoError(tr.t, <-tr.followed)
	require.NoError(tr.t, tr.reader.Close())

	ctx, cancel := context.WithTimeout(tr.t.Context(), patience)
	defer cancel()
	require.NoError(tr.t, load.ReadAll(ctx, tr.address, topic, tr.history, "final"))
	anomalies := tr.history.Check("final")
	require.Empty(tr.t, anomalies, history.Report(anomalies))
	tr.t.Logf("%d records were acknowledged", tr.history.Acks())
}
