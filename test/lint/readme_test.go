package lint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// What a page shows as Go is part of an example that runs as a test, line by line.
func TestGoInPagesIsPartOfAnExample(t *testing.T) {
	for page, examples := range map[string]string{"README.md": "sdk/example_test.go"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		require.NoError(t, err)
		source, err := os.ReadFile(filepath.Join(root, examples))
		require.NoError(t, err)
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, blocks, page)
		for _, block := range blocks {
			require.Containsf(t, unindented(string(source)), unindented(block[1]), "%s shows what %s does not have", page, examples)
		}
	}
}

// unindented leaves out what lines begin with: a page shows the inside of a function.
func unindented(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	return strings.Join(lines, "\n")
}
