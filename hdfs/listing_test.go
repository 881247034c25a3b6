package hdfs

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/storage"
)

func entry(name string, kind wire.FileType, perm uint32, open bool) *wire.FileStatus {
	return &wire.FileStatus{
		Path: []byte(name), FileType: kind.Enum(), Length: proto.Uint64(7), Permission: &wire.Permission{Perm: &perm},
		Locations: &wire.LocatedBlocks{UnderConstruction: &open},
	}
}

func TestListingTellsSealedSegmentsFoldersAndTheRestApart(t *testing.T) {
	unlocated := entry("d-unlocated", wire.FileType_IS_FILE, modeOfFiles, false)
	unlocated.Locations = nil
	require.Equal(t, storage.Listing{
		Segments: []storage.Info{
			{Name: "a-open", Size: 7},
			{Name: "b-sealed", Size: 7, Sealed: true},
			{Name: "c-recovered-but-not-synced", Size: 7},
			{Name: "d-unlocated", Size: 7},
		},
		Folders: []string{"0", "1"},
	}, listing([]*wire.FileStatus{
		entry("1", wire.FileType_IS_DIR, 0o755, false),
		entry("c-recovered-but-not-synced", wire.FileType_IS_FILE, modeOfFiles|unsyncedMark, false),
		entry("b-sealed", wire.FileType_IS_FILE, modeOfFiles, false),
		entry("a-open", wire.FileType_IS_FILE, modeOfFiles, true),
		entry(".probe-1", wire.FileType_IS_FILE, modeOfFiles, false),
		entry("", wire.FileType_IS_FILE, modeOfFiles, false),
		entry("0", wire.FileType_IS_DIR, 0o755, false),
		unlocated,
	}))
}
