package load

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// logsEnv names a folder of text files to send.
	logsEnv = "TALOS_LOGS"
	// logsFolder is where they are otherwise, from the repository's root.
	logsFolder = "../shared/data/logs"
	// maxInput bounds what is read, in bytes, and maxLines what is sent of it: text
	// has short lines, and a job of so many takes minutes where all it is to meet is
	// over in one.
	maxInput = 5 << 20
	maxLines = 20_000
)

// Lines returns the lines of real text files, without their line feed but with a
// carriage return if there is one: the files in the folder that TALOS_LOGS
// names, else log files beside the repository, else text files of the Go
// distribution. root is the repository's root.
func Lines(root string) ([][]byte, error) {
	folder := os.Getenv(logsEnv)
	if folder == "" {
		folder = filepath.Join(root, logsFolder)
	}
	lines, err := linesBelow(folder, ".log", ".txt")
	if err == nil || !errors.Is(err, fs.ErrNotExist) || os.Getenv(logsEnv) != "" {
		return lines, err
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	return linesBelow(strings.TrimSpace(string(goroot)), ".txt", ".md", ".html")
}

func linesBelow(folder string, extensions ...string) ([][]byte, error) {
	var lines [][]byte
	size := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !hasSuffix(path, extensions) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size += len(text)
		lines = append(lines, bytes.Split(text, []byte("\n"))...)
		if size >= maxInput || len(lines) >= maxLines {
			return fs.SkipAll
		}
		return nil
	})
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("no text files below %s: %w", folder, fs.ErrNotExist)
	}
	return lines[:min(len(lines), maxLines)], err
}

func hasSuffix(path string, suffixes []string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(path, s) {
			return true
		}
	}
	return false
}
