package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Tool returns the path of a program that the Makefile builds into .bin, in the
// module's root.
func Tool(name string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built, run `make .bin/%s`: %w", name, name, err)
	}
	return path, nil
}

// moduleRoot looks from the working folder upwards.
func moduleRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("the root of the module was not found")
		}
		folder = parent
	}
}
