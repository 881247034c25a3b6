package model_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/test/minio"
)

// kind is a store that the histories are drawn over.
type kind struct {
	name string
	// virtual: it runs in a synctest bubble, so that minutes pass at once and a step
	// is taken only when nothing moves anymore. Otherwise steps and all that they
	// cause run at the same time, which finds other things.
	virtual bool
	// open returns an empty store, and what removes it again.
	open func(require.TestingT) (storage.Store, func())
}

// kinds is the one list of stores; each must hold all promises.
func kinds(t *testing.T) []kind {
	files := func(r require.TestingT) (storage.Store, func()) {
		root := filepath.Join(t.TempDir(), rand.Text())
		s, err := local.Open(root, local.Options{FS: unsynced{}})
		require.NoError(r, err)
		return s, func() { require.NoError(r, os.RemoveAll(root)) }
	}
	memory := func(require.TestingT) (storage.Store, func()) { return mem.New(), func() {} }
	return []kind{
		{"mem", true, memory},
		{"mem in real time", false, memory},
		{"local", true, files},
		{"local in real time", false, files},
	}
}

// objects is the S3 store over a real server, where each step takes milliseconds.
func objects(t *testing.T) kind {
	bucket := minio.ForTest(t)
	return kind{"s3 in real time", false, func(r require.TestingT) (storage.Store, func()) {
		u := *bucket
		u.Path += "/" + rand.Text()
		s, err := s3.Open(t.Context(), &u, s3.Options{ReadOnly: true}) // leaves the probe out
		require.NoError(r, err)
		return s, func() { require.NoError(r, s.Close()) }
	}}
}

// unsynced is the operating system's files without waiting for the disk: here
// processes crash and machines do not.
type unsynced struct{ local.OS }

func (u unsynced) OpenFile(name string, flag int) (local.File, error) {
	f, err := u.OS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsynced) SyncDir(string) error { return nil }

type unsyncedFile struct{ local.File }

func (unsyncedFile) Datasync() error { return nil }
