package groups

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
)

const (
	goldenFirst  = "0a016732291880d095ffbc3122200a1001000000000000000000000000000000"
	goldenSecond = "12066f7264657273180220072803"
)

// What is stored must be read for ever.
func TestGoldenEvent(t *testing.T) {
	w := newWorld()
	id := talos.TopicID{1}
	require.NoError(t, w.state.Commit(time.UnixMilli(1_700_000_000_000), &talosv1.CommitOffsetsRequest{
		Group:   "g",
		Offsets: []*talosv1.CommittedOffset{{TopicId: id[:], Topic: "orders", Partition: 2, Offset: 7, Epoch: 3}},
	}))
	events := w.state.Take()
	require.Len(t, events, 2)
	require.Equal(t, goldenFirst+goldenSecond, hex.EncodeToString(events[1]))

	golden, err := hex.DecodeString(goldenFirst + goldenSecond)
	require.NoError(t, err)
	again := New(Config{}, w.topic)
	require.NoError(t, again.Apply(golden))
	response, err := again.Offsets(&talosv1.FetchOffsetsRequest{Group: "g"})
	require.NoError(t, err)
	require.EqualValues(t, 7, response.GetOffsets()[0].GetOffset())

	page, err := os.ReadFile(filepath.Join("..", "docs", "format", "groups.md"))
	require.NoError(t, err)
	require.Contains(t, string(page), "    "+goldenFirst+"\n    "+goldenSecond+"\n")
}

func TestEventsOfANewerVersionAreRefused(t *testing.T) {
	for _, event := range []string{"0a0167", "0a01673a00", goldenFirst + goldenSecond + "f87f01", "0a01672203f87f01"} {
		b, err := hex.DecodeString(event)
		require.NoError(t, err)
		require.ErrorIs(t, New(Config{}, nil).Apply(b), talos.NewerFormat, event)
	}
	broken, err := hex.DecodeString("0a01673203220122")
	require.NoError(t, err)
	require.ErrorIs(t, New(Config{}, nil).Apply(broken), talos.CorruptSegment)
}
