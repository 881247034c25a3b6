package hdfs_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
)

// A writer stops at each stage of its life, is recovered by another process, and
// goes on: nothing may be acknowledged afterwards, and nothing that was
// acknowledged may lie outside of the recovered length.
func TestAZombieAtEachStage(t *testing.T) {
	cluster := running(t)
	for _, at := range []stage{afterCreate, afterAddBlock, afterConnect, afterHead, duringAppends, afterAppends} {
		t.Run(string(at), func(t *testing.T) {
			root := storeURL(t, cluster)
			s := openStore(t, root)
			name := "at-the-stage"
			w := startWriter(t, root, name, at)
			id := storage.ID{Folder: "zombies", Name: name}
			info, err := s.Recover(t.Context(), id)
			require.NoError(t, err)

			last, more := w.goOn()
			require.NotEmpty(t, last.Error, "the zombie's last call succeeded")
			// What was in flight when the writer stopped may have been acknowledged
			// before: it is inside of the recovered length.
			require.GreaterOrEqual(t, info.Size, w.acked)
			if at != duringAppends {
				require.Zero(t, more, "bytes acknowledged after the recovery")
			}
			again, err := s.Recover(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, info, again, "nothing changed afterwards")
			require.True(t, bytes.HasPrefix(everything(), contents(t, s, id)), "what was recovered is what was written, from the start on")
			require.Len(t, contents(t, s, id), int(info.Size))
		})
	}
}

// everything is what a writer writes unless it is stopped.
func everything() []byte {
	all := []byte(writerHead)
	for i := range writerAppends {
		all = append(all, appendedBytes(i)...)
	}
	return all
}
