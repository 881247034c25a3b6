package hdfs

import (
	"slices"
	"strings"

	"github.com/talos-log/talos/hdfs/internal/wire"
	"github.com/talos-log/talos/storage"
)

const (
	// modeOfFiles is the mode of a segment.
	modeOfFiles = 0o644
	// unsyncedMark is the sticky bit: HDFS ignores it on files. A segment bears it
	// until all of its bytes are known to be synced and final.
	unsyncedMark = 0o1000
)

func marked(f *wire.FileStatus) bool { return f.GetPermission().GetPerm()&unsyncedMark != 0 }

// listing sorts the entries of a folder into segments and folders. Names with a
// dot in front are not segments.
func listing(entries []*wire.FileStatus) storage.Listing {
	var l storage.Listing
	for _, f := range entries {
		name := string(f.GetPath())
		switch {
		case name == "" || strings.HasPrefix(name, "."):
			// A file lists itself with an empty name.
		case f.GetFileType() == wire.FileType_IS_DIR:
			l.Folders = append(l.Folders, name)
		case f.GetFileType() == wire.FileType_IS_FILE:
			closed := f.GetLocations() != nil && !f.GetLocations().GetUnderConstruction()
			l.Segments = append(l.Segments, storage.Info{Name: name, Size: int64(f.GetLength()), Sealed: closed && !marked(f)})
		}
	}
	slices.SortFunc(l.Segments, func(a, b storage.Info) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(l.Folders)
	return l
}
