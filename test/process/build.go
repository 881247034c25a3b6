package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

const program = "github.com/talos-log/talos/cmd/talos"

// Builder builds the program at most once, when it is first asked for. The
// processes to be killed run without the race detector: it would make them slow,
// and so the kills rare. Tests within one process run with it.
type Builder struct {
	// Tags are the build tags.
	Tags []string
	// Version is what the program calls itself; empty is a development build.
	Version string

	once   sync.Once
	folder string
	err    error
}

// Binary returns the path of the program.
func (b *Builder) Binary() (string, error) {
	b.once.Do(func() { b.err = b.build() })
	return filepath.Join(b.folder, "talos"), b.err
}

func (b *Builder) build() error {
	folder, err := os.MkdirTemp("", "talos-build-")
	if err != nil {
		return err
	}
	b.folder = folder
	args := []string{"build", "-tags", strings.Join(b.Tags, ","), "-o", filepath.Join(folder, "talos")}
	if b.Version != "" {
		args = append(args, "-ldflags", "-X main.version="+b.Version)
	}
	cmd := exec.Command("go", append(args, program)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// Remove removes what was built.
func (b *Builder) Remove() error {
	if b.folder == "" {
		return nil
	}
	return os.RemoveAll(b.folder)
}
