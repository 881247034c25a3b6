package hdfs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// A writer stops at each stage of its life, is recovered by another process, and
// goes on: nothing may be acknowledged afterwards, and nothing that was
// acknowledged may lie outside of the recovered length.
func TestAZombieAtEachStage(t *testing.T) {
	t.Parallel()
	cluster := running(t)
	for _, at := range []stage{
		afterCreate, afterAddBlock, afterConnect, afterHead, duringAppends, afterAppends, afterBlockEnded, afterFileClosed,
	} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			root := cluster.StoreForTest(t)
			s := openStore(t, root)
			w := startWriter(t, root, life{"at-the-stage", at, talos.Sync})
			id := storage.ID{Folder: writerFolder, Name: "at-the-stage"}
			info, err := s.Recover(t.Context(), id)
			require.NoError(t, err)

			last, more := w.goOn(t)
			if at == afterFileClosed {
				// All was done but for the mark, and the recovery changed nothing.
				require.Empty(t, last.Error)
			} else {
				require.NotEmpty(t, last.Error, "the zombie's last call succeeded")
			}
			// What was in flight when the writer stopped may have been acknowledged
			// before: it is inside of the recovered length.
			require.GreaterOrEqual(t, info.Size, w.acked)
			if at != duringAppends {
				require.Zero(t, more, "bytes acknowledged after the recovery")
			}
			again, err := s.Recover(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, info, again, "nothing changed afterwards")
			require.Equal(t, string(appended(int(info.Size))), string(contents(t, s, id)), "what was recovered is what was written, from the start on")
		})
	}
}
