package s3

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
)

func TestKeys(t *testing.T) {
	k := keys{prefix: "some/prefix/"}
	id := storage.ID{Folder: "topic/0", Name: "a"}
	require.Equal(t, "some/prefix/chunks/topic/0/a!/0000000000", k.chunk(id, 0))
	require.Equal(t, "some/prefix/chunks/topic/0/a!/0000012345", k.chunk(id, 12345))
	require.Equal(t, "some/prefix/index/topic/0/a!open", k.open(id))
	require.Equal(t, "some/prefix/index/topic/0/a!sealed-17-4096", k.sealed(id, 17, 4096))
	require.Equal(t, "index/", keys{}.indexFolder(""))
	require.Equal(t, "index/a!open", keys{}.open(storage.ID{Name: "a"}))
}

func TestParseEntry(t *testing.T) {
	for s, want := range map[string]entry{
		"a!open":           {name: "a"},
		"a-1!sealed-3-120": {name: "a-1", sealed: true, chunks: 3, bytes: 120},
	} {
		e, ok := parseEntry(s)
		require.True(t, ok, s)
		require.Equal(t, want, e)
	}
	for _, s := range []string{
		"", "a", "!open", "a!", "a!opened", "a!sealed", "a!sealed-", "a!sealed-3", "a!sealed-3-", "a!sealed--1-3", "a!sealed-0-0",
		"a!sealed-3-x", "a b!open", ".a!open", "a!b!open",
	} {
		_, ok := parseEntry(s)
		require.False(t, ok, s)
	}
}

func TestParseNumber(t *testing.T) {
	n, ok := parseNumber("0000000042")
	require.True(t, ok)
	require.EqualValues(t, 42, n)
	for _, s := range []string{"", "42", "-000000042", "00000000042", "000000004x"} {
		_, ok := parseNumber(s)
		require.False(t, ok, s)
	}
}
