package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/google/uuid"
)

// keptID returns the id in a file, and makes both if there is no such file. The
// id stays the same over restarts, so that a node takes its own place again at
// once.
func keptID(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeID(path)
	}
	if err != nil {
		return "", fmt.Errorf("node id: %w", err)
	}
	id := strings.TrimSpace(string(text))
	if id == "" {
		return "", fmt.Errorf("node id: %s is empty: remove it to get a new one", path)
	}
	return id, nil
}

// makeID writes the file beside its place first: a crash leaves all of it or
// nothing.
func makeID(path string) (string, error) {
	id, err := newID()
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("node id: %w", err)
	}
	_, err = file.WriteString(id + "\n")
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("node id: %w", err)
	}
	return id, nil
}

func newID() (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("node id: %w", err)
	}
	return "node-" + id.String()[:8], nil
}
