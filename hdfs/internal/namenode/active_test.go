package namenode

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// asked is who was asked for what, in turn.
func asked(all []seen) (short []string) {
	for _, s := range all {
		short = append(short, s.address+" "+s.method)
	}
	return short
}

// whatIsAt reads the one file of a scripted NameNode.
func whatIsAt(found *string, c *Client) func(context.Context) error {
	return func(ctx context.Context) error {
		f, err := c.GetFileInfo(ctx, "/a")
		if err == nil {
			*found = string(f.GetPath())
		}
		return err
	}
}

func TestAFormerActiveNameNodeIsMadeToWriteBeforeItIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 2, func(s seen) reaction {
			switch {
			case s.method == "getFileInfo":
				return reaction{answer: &wire.GetFileInfoResponse{File: status("as " + s.address + " has it")}}
			case s.address == "nn1":
				return reaction{hangUp: true} // the JournalNodes take nothing from it: it ends
			}
			return reaction{answer: &wire.SetTimesResponse{}}
		})
		var found string
		require.NoError(t, c.FromActive(t.Context(), "/", whatIsAt(&found, c)))
		require.Equal(t, "as nn2 has it", found)
		require.Equal(t, []string{"nn1 setTimes", "nn2 setTimes", "nn2 setTimes", "nn2 getFileInfo"}, asked(w.seen()))
	})
}

func TestAReadThatAnotherNameNodeAnswersIsProvenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 2, func(s seen) reaction {
			switch {
			case s.method == "setTimes":
				return reaction{answer: &wire.SetTimesResponse{}}
			case s.address == "nn1":
				return thrown(standby, "no longer")
			}
			return reaction{answer: &wire.GetFileInfoResponse{File: status("as " + s.address + " has it")}}
		})
		var found string
		require.NoError(t, c.FromActive(t.Context(), "/", whatIsAt(&found, c)))
		require.Equal(t, "as nn2 has it", found)
		require.Equal(t, []string{
			"nn1 setTimes", "nn1 getFileInfo", "nn2 getFileInfo", "nn2 setTimes", "nn2 getFileInfo",
		}, asked(w.seen()))
	})
}

func TestNameNodesThatTakeTurnsForEverAreNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, 2, func(s seen) reaction {
			if writes := s.method == "setTimes"; writes == (s.address == "nn1") {
				return reaction{answer: &wire.SetTimesResponse{}}
			}
			return thrown(standby, "no")
		})
		var found string
		require.ErrorIs(t, c.FromActive(t.Context(), "/", whatIsAt(&found, c)), ErrUnavailable)
	})
}

func TestOneNameNodeAloneProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 1, always(reaction{answer: &wire.GetFileInfoResponse{File: status("a")}}))
		var found string
		require.NoError(t, c.FromActive(t.Context(), "/", whatIsAt(&found, c)))
		require.Equal(t, []string{"nn1 getFileInfo"}, asked(w.seen()))
	})
}
