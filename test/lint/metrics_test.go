package lint_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/talos-log/talos/talos/metrics"
)

// Every metric is made out of the described list; a vector or a counter that is
// made by hand would be missing in docs/metrics.md.
func TestMetricsAreMadeFromTheList(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || strings.HasPrefix(s.path, "talos/metrics/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := sel.X.(*ast.Ident)
			made := regexp.MustCompile(`^(Must)?New(Counter|Gauge|Histogram|Summary|Desc|Const)`)
			if pkg != nil && pkg.Name == "prometheus" && made.MatchString(sel.Sel.Name) {
				t.Errorf("%s:%d: prometheus.%s: describe it in talos/metrics, and make it with a metrics.Set",
					s.path, s.line(n.Pos()), sel.Sel.Name)
			}
			return true
		})
	}
}

// alertRules is what the test wants of docs/alerts.yaml.
type alertRules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

func TestAlertsNameMetricsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "alerts.yaml"))
	require.NoError(t, err)
	var file alertRules
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&file))

	exist := map[string]metrics.Description{}
	for _, d := range metrics.All() {
		if d.Type != metrics.Histogram {
			exist[d.Name] = d
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			exist[d.Name+suffix] = d
		}
	}
	used := regexp.MustCompile(`\b(talos_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	for _, rule := range file.Groups[0].Rules {
		require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		require.NotEmpty(t, rule.Labels["severity"], rule.Alert)
		names := used.FindAllStringSubmatch(rule.Expr, -1)
		require.NotEmpty(t, names, rule.Alert)
		for _, m := range names {
			d, ok := exist[m[1]]
			require.True(t, ok, "%s: there is no metric %s", rule.Alert, m[1])
			if m[2] != "" {
				label, _, _ := strings.Cut(m[2], "=")
				require.Contains(t, d.Labels, label, rule.Alert)
			}
		}
		for word := range strings.FieldsSeq(rule.Annotations["action"]) {
			if name := strings.Trim(word, ";.,()"); strings.HasPrefix(name, "talos_") {
				_, plain := exist[name]
				_, histogram := exist[name+"_bucket"]
				require.True(t, plain || histogram, "%s: there is no metric %s", rule.Alert, name)
			}
		}
	}
}
