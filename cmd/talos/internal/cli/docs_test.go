package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

func TestReferencePagesAreCurrent(t *testing.T) {
	for name, want := range pages(newRoot(program{name: "talos"})) {
		got, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", name))
		require.NoError(t, err)
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("docs/%s is not current, run `make generate`:\n%s", name, diff)
		}
	}
}

func TestEveryFieldOfTheJSONIsDescribed(t *testing.T) {
	undescribed := regexp.MustCompile("(?m)^\\| `(.*)` \\| .* \\|  ?\\|$")
	for _, m := range undescribed.FindAllStringSubmatch(cliPage(newRoot(program{name: "talos"})), -1) {
		t.Errorf("field %s has no doc tag", m[1])
	}
}

// Every kind of error has an exit code that is listed, and only faults of Talos
// or the user's own interrupt have the general one.
func TestEveryKindHasAnExitCode(t *testing.T) {
	for _, k := range talos.Kinds() {
		code := exitCodeOf(k)
		require.Less(t, code, len(exitCodes()))
		require.NotEqual(t, exitOK, code, k)
		if code == exitFailed {
			require.Contains(t, []talos.Kind{talos.Internal, talos.Canceled}, k)
		}
	}
}
