package hadoop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/talos-log/talos/test/process"
)

// Version is the release of Hadoop that runs, as tools/hadoop/pom.xml pins it.
const Version = "3.5.0"

// archiveExtension is Java's for archives of classes.
const archiveExtension = ".jsa"

// errNotInstalled says what to do.
var errNotInstalled = errors.New("no Hadoop in .bin: run tools/hadoop/install.sh")

// installation is what tools/hadoop/install.sh has installed.
type installation struct {
	// folder holds lib, and the archives.
	folder string
	// java is the program's path.
	java string
	// jars is the class path, in an order that stays the same: an archive of
	// classes holds for one class path only.
	jars string
}

// installed finds the installation from any folder of the source tree.
func installed() (installation, error) {
	root, err := process.Root()
	if err != nil {
		return installation{}, err
	}
	folder, err := filepath.EvalSymlinks(filepath.Join(root, ".bin", "hadoop", Version))
	if errors.Is(err, os.ErrNotExist) {
		return installation{}, errNotInstalled
	}
	if err != nil {
		return installation{}, err
	}
	jars, err := filepath.Glob(filepath.Join(folder, "lib", "*.jar"))
	if err != nil {
		return installation{}, err
	}
	if len(jars) == 0 {
		return installation{}, errNotInstalled
	}
	slices.Sort(jars)
	java, err := exec.LookPath("java")
	if err != nil {
		return installation{}, fmt.Errorf("%w (%w)", errNotInstalled, err)
	}
	return installation{folder: folder, java: java, jars: strings.Join(jars, string(filepath.ListSeparator))}, nil
}

// classes makes Java use the archive of a kind of daemon, if there is one.
func (i installation) classes(kind string) string {
	archive := filepath.Join(i.folder, kind+archiveExtension)
	if _, err := os.Stat(archive); err != nil {
		return ""
	}
	return "-XX:SharedArchiveFile=" + archive
}
