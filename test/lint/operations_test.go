package lint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The commands that an operator is told to type are run by a script, in the
// order of the page.
func TestCommandsInOperationsAreRun(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	require.NoError(t, err)
	script, err := os.ReadFile(filepath.Join(root, "cmd", "talos", "testdata", "operations.txtar"))
	require.NoError(t, err)
	rest := string(script)
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			command := "exec " + strings.TrimPrefix(strings.TrimSpace(line), "bin/") + "\n"
			_, after, found := strings.Cut(rest, command)
			require.True(t, found, "operations.txtar does not run, after what is before it: %s", command)
			rest = after
		}
	}
}
