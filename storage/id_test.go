package storage_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
)

func TestIDValidate(t *testing.T) {
	longest := storage.ID{Folder: strings.Repeat("f", 256), Name: strings.Repeat("n", 256)}
	for _, c := range []struct {
		what  string
		id    storage.ID
		valid bool
	}{
		{"a name in the root", storage.ID{Name: "a"}, true},
		{"a name in a folder", storage.ID{Folder: "topic", Name: "a"}, true},
		{"a name in a deep folder", storage.ID{Folder: "6f1c/0/x", Name: "a000000000001-0000000001-0000000000000000000"}, true},
		{"all that is allowed", storage.ID{Folder: "azAZ09._-", Name: "azAZ09._-"}, true},
		{"dots and dashes anywhere but first", storage.ID{Folder: "-..", Name: "_."}, true},
		{"512 bytes", longest, true},
		{"513 bytes", storage.ID{Folder: longest.Folder, Name: longest.Name + "n"}, false},
		{"nothing", storage.ID{}, false},
		{"no name", storage.ID{Folder: "topic"}, false},
		{"a hidden name", storage.ID{Name: ".a"}, false},
		{"this folder", storage.ID{Name: "."}, false},
		{"the folder above", storage.ID{Folder: "..", Name: "a"}, false},
		{"the folder above, in between", storage.ID{Folder: "a/../b", Name: "a"}, false},
		{"a hidden folder", storage.ID{Folder: "topic/.x", Name: "a"}, false},
		{"a slash in the name", storage.ID{Name: "a/b"}, false},
		{"a slash first", storage.ID{Folder: "/topic", Name: "a"}, false},
		{"a slash last", storage.ID{Folder: "topic/", Name: "a"}, false},
		{"two slashes", storage.ID{Folder: "topic//0", Name: "a"}, false},
		{"a blank", storage.ID{Name: "a b"}, false},
		{"a backslash", storage.ID{Name: `a\b`}, false},
		{"a zero byte", storage.ID{Name: "a\x00"}, false},
		{"a letter beyond ASCII", storage.ID{Name: "ä"}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := c.id.Validate()
			if c.valid {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, storage.ErrInvalid)
			}
		})
	}
}

func TestValidateFolder(t *testing.T) {
	for folder, valid := range map[string]bool{
		"": true, "a": true, "a/b/c": true, "a.b/c-d": true,
		"/": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/..": false, ".creating": false, "a b": false,
	} {
		err := storage.ValidateFolder(folder)
		if valid {
			require.NoError(t, err, "%q", folder)
		} else {
			require.ErrorIs(t, err, storage.ErrInvalid, "%q", folder)
		}
	}
}

func TestAnInvalidIDIsNamedInTheError(t *testing.T) {
	err := storage.ID{Folder: "topic", Name: "a b"}.Validate()
	require.EqualError(t, err, `storage: invalid segment id: "topic/a b"`)
	require.EqualError(t, storage.ValidateFolder("a b"), `storage: invalid segment id: folder "a b"`)
}
