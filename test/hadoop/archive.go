package hadoop

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// Archive runs a cluster once to keep the classes that its daemons load (Java's
// class data sharing): starts cost half of the work from then on. Where Java
// can't, nothing is kept.
func Archive(ctx context.Context) (err error) {
	i, err := installed()
	if err != nil {
		return err
	}
	// On the file system of the archives, where renaming is atomic.
	folder, err := os.MkdirTemp(i.folder, "archive-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	c, err := Start(ctx, Config{Folder: folder, DataNodes: 1, archive: folder})
	if err != nil {
		return err
	}
	if err := c.Stop(); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(folder, "*"+archiveExtension))
	if err != nil {
		return err
	}
	for _, file := range archives {
		if err := os.Rename(file, filepath.Join(i.folder, filepath.Base(file))); err != nil {
			return err
		}
	}
	return nil
}
