package lint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#+ +(.*?) *$`)
	codeBlock    = regexp.MustCompile("(?ms)^```.*?\n```")
	notInAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

func TestRelativeLinksResolve(t *testing.T) {
	walk(t, ".md", func(path string, text []byte) {
		prose := codeBlock.ReplaceAll(text, nil)
		for _, m := range markdownLink.FindAllSubmatch(prose, -1) {
			target := string(m[1])
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			linked := filepath.Join(root, path)
			if file != "" {
				linked = filepath.Join(root, filepath.Dir(path), file)
			}
			if _, err := os.Stat(linked); err != nil {
				t.Errorf("%s links to %s: %v", path, target, err)
				continue
			}
			if anchor != "" && strings.HasSuffix(linked, ".md") && !anchors(t, linked)[anchor] {
				t.Errorf("%s links to %s: %s has no such heading", path, target, linked)
			}
		}
	})
}

// anchors returns the anchors of a page's headings as forges form them.
func anchors(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range heading.FindAllSubmatch(codeBlock.ReplaceAll(text, nil), -1) {
		name := notInAnchor.ReplaceAllString(strings.ToLower(string(m[1])), "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}
