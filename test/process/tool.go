package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Tool returns the path of a program that the Makefile builds into .bin, in the
// module's root.
func Tool(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built, run `make .bin/%s`: %w", name, name, err)
	}
	return path, nil
}

// module is the first line of the root's go.mod.
var module = []byte("module github.com/talos-log/talos\n")

// Root returns the root of the source tree, at or above the working folder.
func Root() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		// Below it are modules of their own.
		if text, err := os.ReadFile(filepath.Join(folder, "go.mod")); err == nil && bytes.HasPrefix(text, module) {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("the current folder is not in the source tree of Talos, where its tools are installed")
		}
		folder = parent
	}
}
