package clusterbench

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/minio"
)

// StoreKind is where segments go.
type StoreKind string

// The stores.
const (
	Local StoreKind = "local"
	S3    StoreKind = "s3"
	HDFS  StoreKind = "hdfs"
)

func storeKinds() []StoreKind { return []StoreKind{Local, S3, HDFS} }

// hdfsReplicas is how often HDFS keeps a segment.
const hdfsReplicas = 3

// backing is a running store; each figure has a part of its own.
type backing struct {
	kind StoreKind
	// open returns what --store takes, for a part that is empty.
	open func(ctx context.Context, name string) (string, error)
	// env is what nodes need to know, replicas how often data is kept.
	env      []string
	replicas int64
	close    func() error
}

func openBacking(ctx context.Context, kind StoreKind, scratch string) (*backing, error) {
	folder := filepath.Join(scratch, "store")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	switch kind {
	case Local:
		return &backing{
			kind: kind, replicas: 1,
			// The folder goes with the figure's.
			open: func(_ context.Context, name string) (string, error) {
				return "file://" + filepath.Join(scratch, name, "store"), nil
			},
			close: func() error { return nil },
		}, nil
	case S3:
		return openS3(ctx)
	default: // HDFS: see Plan.Validate
		c, err := hadoop.Start(ctx, hadoop.Config{Folder: folder})
		if err != nil {
			return nil, err
		}
		return &backing{
			kind: kind, replicas: hdfsReplicas,
			open:  func(_ context.Context, name string) (string, error) { return c.URL() + "/" + name, nil },
			close: c.Kill,
		}, nil
	}
}

func openS3(ctx context.Context) (*backing, error) {
	s, err := minio.New("")
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return &backing{
		kind: S3, replicas: 1,
		env: []string{"AWS_ACCESS_KEY_ID=" + minio.AccessKey, "AWS_SECRET_ACCESS_KEY=" + minio.SecretKey},
		open: func(ctx context.Context, name string) (string, error) {
			return s.StoreURL("figures-"+name, "talos").String(), s.MakeBucket(ctx, "figures-"+name)
		},
		close: s.Remove,
	}, nil
}
