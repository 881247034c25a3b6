package lint_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the module's root, as seen from this package's folder, where go test
// runs it.
const root = "../.."

const (
	maxFileLines        = 1000
	maxFunctionLines    = 70
	maxInterfaceMethods = 6
)

// longFunctions may be longer than maxFunctionLines, each for a reason. It is
// short, and an entry that is no longer needed fails the test.
var longFunctions = map[string]string{
	"test/mutants/protocol.go:Protocol": "a table",
}

// source is one Go file that people wrote.
type source struct {
	path string // relative to the root
	text []byte
	file *ast.File
	fset *token.FileSet
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if lines := bytes.Count(s.text, []byte("\n")); lines > maxFileLines {
			t.Errorf("%s has %d lines, the limit is %d: it has more than one subject", s.path, lines, maxFileLines)
		}
	}
}

func TestFunctionsAreShort(t *testing.T) {
	needed := map[string]bool{}
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil || codeLines(s, f) <= maxFunctionLines {
				continue
			}
			name := s.path + ":" + f.Name.Name
			needed[name] = true
			if longFunctions[name] == "" {
				t.Errorf("%s has %d lines without comments, the limit is %d", name, codeLines(s, f), maxFunctionLines)
			}
		}
	}
	for name := range longFunctions {
		require.Truef(t, needed[name], "%s need not be in the list of long functions anymore", name)
	}
}

// codeLines counts the lines of f's body that are not comments alone.
func codeLines(s source, f *ast.FuncDecl) int {
	lines := s.line(f.Body.Rbrace) - s.line(f.Body.Lbrace) - 1
	for _, group := range s.file.Comments {
		if group.Pos() < f.Body.Lbrace || group.End() > f.Body.Rbrace {
			continue
		}
		start := s.fset.Position(group.Pos()).Offset
		before := s.text[bytes.LastIndexByte(s.text[:start], '\n')+1 : start]
		if len(bytes.TrimSpace(before)) == 0 {
			lines -= s.line(group.End()) - s.line(group.Pos()) + 1
		}
	}
	return lines
}

func TestInterfacesAreSmall(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if i, ok := spec.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxInterfaceMethods {
				t.Errorf("%s: interface %s has %d methods, the limit is %d",
					s.path, spec.Name.Name, i.Methods.NumFields(), maxInterfaceMethods)
			}
			return true
		})
	}
}

// A test that sleeps is slow when the machine is fast and wrong when it is
// slow; a test that is skipped tests nothing. In virtual time (testing/synctest)
// a sleep costs nothing and is exact: files that use it may sleep.
func TestTestsNeitherSleepNorSkip(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test() {
			continue
		}
		virtual := bytes.Contains(s.text, []byte(`"testing/synctest"`))
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			receiver, _ := sel.X.(*ast.Ident)
			switch {
			case receiver == nil:
			case receiver.Name == "time" && sel.Sel.Name == "Sleep" && !virtual:
				t.Errorf("%s:%d sleeps: wait for an event, or use testing/synctest", s.path, s.line(n.Pos()))
			case (receiver.Name == "t" || receiver.Name == "b") && strings.HasPrefix(sel.Sel.Name, "Skip"):
				t.Errorf("%s:%d skips", s.path, s.line(n.Pos()))
			}
			return true
		})
	}
}

// sources parses every Go file that people wrote.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	walk(t, ".go", func(path string, text []byte) {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		if ast.IsGenerated(file) {
			return
		}
		all = append(all, source{path: path, text: text, file: file, fset: fset})
	})
	require.NotEmpty(t, all)
	return all
}

// walk visits the files of one extension; hidden folders and what a run leaves
// behind are not part of the tree.
func walk(t *testing.T, extension string, visit func(path string, text []byte)) {
	t.Helper()
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			hidden := strings.HasPrefix(path, ".") && path != "."
			if hidden || path == "bin" || path == "talos-data" || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != extension {
			return nil
		}
		text, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		visit(path, text)
		return nil
	})
	require.NoError(t, err)
}
