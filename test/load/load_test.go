package load_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
	"github.com/talos-log/talos/test/load"
)

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
}

func TestLinesKeepTheirBytes(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "a.log", "one\r\n\xff\xfe\n\nlast")
	write(t, folder, "b.bin", "not this one\n")
	t.Setenv("TALOS_LOGS", folder)
	lines, err := load.Lines(t.TempDir())
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("one\r"), []byte("\xff\xfe"), {}, []byte("last")}, lines)
}

func TestLinesAreFoundWithoutTheLogs(t *testing.T) {
	t.Setenv("TALOS_LOGS", "")
	lines, err := load.Lines(filepath.Join(t.TempDir(), "nowhere"))
	require.NoError(t, err)
	require.Greater(t, len(lines), 10_000, "Go's own text files")
}

func TestAFolderThatWasNamedMustBeThere(t *testing.T) {
	t.Setenv("TALOS_LOGS", filepath.Join(t.TempDir(), "nowhere"))
	_, err := load.Lines(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestARecordTellsItsIDAndIsAlwaysTheSame(t *testing.T) {
	lines := [][]byte{[]byte("a"), {}, []byte("b\r")}
	seen := map[history.Digest]history.ID{}
	for producer := range 3 {
		for sequence := range 50 {
			id := history.ID{Producer: producer, Sequence: sequence}
			r, again := load.Record(id, lines), load.Record(id, lines)
			require.Equal(t, r, again)
			got, err := load.IDOf(&r)
			require.NoError(t, err)
			require.Equal(t, id, got)
			d := history.DigestOf(&r)
			require.NotContains(t, seen, d)
			seen[d] = id
			require.Less(t, load.PartitionOf(id, 4), int32(4))
		}
	}
	_, err := load.IDOf(&talos.Record{})
	require.Error(t, err)
}
