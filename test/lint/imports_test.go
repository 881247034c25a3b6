package lint_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/talos-log/talos"

// arrows says what each folder may import of ours, besides itself. A package
// belongs to the longest folder that its path begins with. Tests count as well:
// what a package's tests need beyond its arrows lives in test/.
var arrows = map[string][]string{
	"talos":        {},
	"proto":        {},
	"storage":      {"talos"},
	"hdfs":         {"talos", "storage"},
	"partition":    {"talos", "storage"},
	"coordinator":  {"talos"},
	"groups":       {"talos", "proto"},
	"talos/server": {"talos", "partition", "coordinator", "storage", "proto", "groups", "internal/codec"},
	// A user's own program links neither; sdk/fake is for the examples and tests.
	"sdk":            {"talos", "proto", "sdk/fake", "internal/codec"},
	"sdk/fake":       {"talos", "talos/server", "partition", "coordinator", "storage", "proto", "sdk"},
	"internal/codec": {"proto"},
	// What makes load knows no system.
	"internal/loadgen": {"talos"},
	"cmd":              {"*"},
	"test":             {"*"},
}

// barred lists what a folder may not link, however indirectly: a user of the
// SDK gets neither etcd nor the node.
var barred = map[string][]string{
	"sdk":         {"go.etcd.io/", module + "/storage", module + "/partition", module + "/coordinator", module + "/talos/server"},
	"talos":       {"go.etcd.io/", "google.golang.org/grpc/internal/transport"},
	"storage":     {"go.etcd.io/", "google.golang.org/grpc/internal/transport"},
	"partition":   {"go.etcd.io/", "google.golang.org/grpc/internal/transport"},
	"proto":       {"go.etcd.io/"},
	"groups":      {"go.etcd.io/", module + "/partition", module + "/storage", module + "/coordinator"},
	"coordinator": {module + "/partition", module + "/storage"},
}

type goPackage struct {
	ImportPath   string
	Doc          string
	Dir          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func TestImportArrows(t *testing.T) {
	for _, p := range packages(t) {
		from := folder(p.ImportPath)
		allowed, ok := arrows[from]
		require.Truef(t, ok, "%s: its folder is not in the table of import arrows", p.ImportPath)
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			to := folder(imported)
			if to == "" || to == from || slices.Contains(allowed, "*") || slices.Contains(allowed, to) {
				continue
			}
			t.Errorf("%s imports %s: %s may import only %v", p.ImportPath, imported, from, allowed)
		}
	}
}

func TestBarredDependencies(t *testing.T) {
	for _, p := range packages(t) {
		for _, dep := range p.Deps {
			for _, prefix := range barred[folder(p.ImportPath)] {
				if strings.HasPrefix(dep, prefix) {
					t.Errorf("%s pulls in %s: users of %s would link it", p.ImportPath, dep, folder(p.ImportPath))
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && !isGeneratedPackage(p) {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// isGeneratedPackage tells whether a package has generated files alone: their
// generator writes no package comment.
func isGeneratedPackage(p goPackage) bool { return strings.HasPrefix(p.ImportPath, module+"/proto/") }

// folder returns the entry of arrows for one of our packages, "" for others.
func folder(importPath string) string {
	path, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return ""
	}
	longest := path
	for name := path; ; name = name[:strings.LastIndex(name, "/")] {
		if _, ok := arrows[name]; ok {
			return name
		}
		if !strings.Contains(name, "/") {
			return longest
		}
	}
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps=false", "-json=ImportPath,Doc,Dir,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		require.Failf(t, "go list", "%s", failed.Stderr)
	}
	require.NoError(t, err)

	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}
