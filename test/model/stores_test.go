package model_test

import (
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/local"
	"github.com/talos-log/talos/storage/mem"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/test/minio"
	"github.com/talos-log/talos/test/model/histories"
	"go.uber.org/goleak"
)

// usual is how many histories are drawn over a store, unless the flag -rapid.checks or
// RAPID_CHECKS says how many.
const usual = "40"

func TestMain(m *testing.M) {
	flag.Parse()
	told := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "rapid.checks" })
	if !told {
		if err := flag.Set("rapid.checks", usual); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := minio.Main(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestRandomHistoriesKeepEveryPromise(t *testing.T) {
	for _, k := range kinds(t) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			histories.Draw(t, k)
		})
	}
}

// slower is how many times fewer histories are drawn over a slow store.
const slower = 2

func TestRandomHistoriesOverS3KeepEveryPromise(t *testing.T) {
	histories.DrawFewer(t, objects(t), slower)
}

// kinds is the list of stores that need no other process; each must hold all
// promises.
func kinds(t *testing.T) []histories.Kind {
	files := func(r require.TestingT) (storage.Store, func()) {
		root := filepath.Join(t.TempDir(), rand.Text())
		s, err := local.Open(root, local.Options{FS: unsynced{}})
		require.NoError(r, err)
		return s, func() { require.NoError(r, os.RemoveAll(root)) }
	}
	memory := func(require.TestingT) (storage.Store, func()) { return mem.New(), func() {} }
	return []histories.Kind{
		{Name: "mem", Virtual: true, Open: memory},
		{Name: "mem in real time", Open: memory},
		{Name: "local", Virtual: true, Open: files},
		{Name: "local in real time", Open: files},
	}
}

// objects is the S3 store over a real server, where each step takes milliseconds.
func objects(t *testing.T) histories.Kind {
	bucket := minio.ForTest(t)
	return histories.Kind{Name: "s3 in real time", Open: func(r require.TestingT) (storage.Store, func()) {
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
