package storagetest

import (
	"testing"

	"github.com/talos-log/talos/storage"
)

// Run runs the suite. Open returns a new, empty store for each test.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Create", createTests},
		{"Append", appendTests},
		{"Seal and Abandon", endTests},
		{"Read", readTests},
		{"Recover", recoverTests},
		{"List and Remove", folderTests},
		{"Arguments", argumentTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
			}
		})
	}
}

type test struct {
	name string
	run  func(*testing.T, storage.Store)
}
