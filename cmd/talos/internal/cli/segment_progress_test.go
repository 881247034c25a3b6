package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage/inspect"
	"github.com/talos-log/talos/talos"
)

// The bar counts each segment with the size it was listed with, so that it ends
// at the sum: also of segments that grew since, or of which nothing was told.
func TestVerifyProgressAddsUp(t *testing.T) {
	entries := []inspect.Entry{
		{Size: 1000, Name: talos.SegmentName{Number: 1}},
		{Size: 0, Name: talos.SegmentName{Number: 2}},
		{Size: 500, Name: talos.SegmentName{Number: 3}},
		{Size: 1000, Name: talos.SegmentName{Number: 4}},
		{Size: 2000, Name: talos.SegmentName{Number: 5}},
	}
	var drawn bytes.Buffer
	p := drawVerifyProgress(&drawn, entries)
	for i, c := range []struct {
		told []int64
		want float64 // bytes in all
	}{
		{[]int64{400, 1000}, 1000},
		{[]int64{72, 90}, 1000}, // listed with 0
		{[]int64{100, 700}, 1500},
		{nil, 1500},
		{[]int64{300, 2000}, 4500},
	} {
		p.begin(entries[i], "logs")
		for _, done := range c.told {
			p.verified(done)
		}
		require.InDelta(t, c.want, p.bar.State().CurrentBytes, 0, "segment %d", i+1)
	}
	require.True(t, p.bar.IsFinished())
	p.clear()
	require.Contains(t, drawn.String(), "\rlogs/0 segment 1   0% |")
	lines := strings.Split(strings.TrimSuffix(drawn.String(), "\r"), "\r")
	require.Empty(t, strings.TrimSpace(lines[len(lines)-1]), "nothing of it stays")
}

// A topic's name may have 249 bytes; the bar must fit a line.
func TestVerifyProgressCutsLongNames(t *testing.T) {
	var drawn bytes.Buffer
	p := drawVerifyProgress(&drawn, []inspect.Entry{{Size: 1000}})
	p.begin(inspect.Entry{Size: 1000}, strings.Repeat("x", talos.MaxTopicNameLength))
	require.Contains(t, drawn.String(), "\rxxxxxxxxxxxxxxxxxx../0 segment 0 ")
}

// There is no bar where nobody would see it, nor one of nothing.
func TestVerifyProgressIsForTerminals(t *testing.T) {
	entries := []inspect.Entry{{Size: 1000}}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer func() {
		require.NoError(t, write.Close())
		require.NoError(t, read.Close())
	}()
	require.Nil(t, newVerifyProgress(write, formatText, entries).bar)
	require.Nil(t, newVerifyProgress(&bytes.Buffer{}, formatText, entries).bar)
	require.Nil(t, drawVerifyProgress(&bytes.Buffer{}, []inspect.Entry{{Size: 0}}).bar)

	var none verifyProgress
	none.begin(entries[0], "logs")
	none.verified(1000)
	none.clear()
}
