package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Mutant is one broken rule.
type Mutant struct {
	// Name says what the code does wrongly now.
	Name string
	// Edits break it.
	Edits []Edit
	// Package and Test name the test that must fail; Says must be found in what it
	// prints, so that it fails for the right reason.
	Package, Test, Says string
	// Env is what the test is told beyond that.
	Env []string
}

// Edit replaces the one place where a file has Old.
type Edit struct {
	File, Old, New string
}

// Kill runs the mutant's test over the broken source. It returns what the test
// printed, and an error if the mutant survived, could not be built, or failed
// for another reason.
func (m Mutant) Kill(ctx context.Context, root, scratch string) (string, error) {
	overlay, err := m.overlay(root, scratch)
	if err != nil {
		return "", err
	}
	// What vet says of a broken rule is not the question, and takes a part of the time.
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-count=1", "-timeout", "30m", "-run", m.Test, m.Package)
	cmd.Dir = root
	// Programs that the test builds are broken, too.
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-overlay="+overlay), m.Env...)
	out, err := cmd.CombinedOutput()
	printed := string(out)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return printed, errors.New("it survived")
	case !errors.As(err, &exit):
		return printed, fmt.Errorf("go test: %w", err)
	case !strings.Contains(printed, "--- FAIL"):
		return printed, errors.New("it was not tested: the build failed, or the test did")
	case !regexp.MustCompile(m.Says).MatchString(printed):
		return printed, fmt.Errorf("it failed, but for another reason than %q", m.Says)
	}
	return printed, nil
}

// overlay writes the broken files, and the list of them that go test takes.
func (m Mutant) overlay(root, scratch string) (string, error) {
	sources := map[string]string{}
	for _, e := range m.Edits {
		path := filepath.Join(root, filepath.FromSlash(e.File))
		if _, ok := sources[path]; !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			sources[path] = string(b)
		}
		if n := strings.Count(sources[path], e.Old); n != 1 {
			return "", fmt.Errorf("%s has %d places like %q, want one: bring the mutant up to date", e.File, n, e.Old)
		}
		sources[path] = strings.Replace(sources[path], e.Old, e.New, 1)
	}
	replace := map[string]string{}
	for path, source := range sources {
		broken := filepath.Join(scratch, fmt.Sprintf("%d_%s", len(replace), filepath.Base(path)))
		if err := os.WriteFile(broken, []byte(source), 0o600); err != nil {
			return "", err
		}
		replace[path] = broken
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(scratch, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
