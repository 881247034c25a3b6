package cli

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/stores"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/inspect"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/manifest"
)

func newSegment() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use:   "segment",
		Short: "Look at the segments in a store, without a node",
		Long: `Look at what lies in a store: no node is asked, nothing is changed, no lock is
taken, so it can be used while nodes write.

Which segments count is decided by a record in etcd that is not looked at here.
Of several segments with one number the one with the highest epoch counts; the
others are called superseded.`,
		Args: noSuchCommand,
		RunE: showHelp,
	}
	cmd.PersistentFlags().StringVar(&location, "store", filepath.Join(defaultData, "store"), "the store's `URL`: "+stores.Forms)
	open := func(ctx context.Context) (*stores.Opened, error) {
		words := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		store, err := stores.Open(ctx, location, stores.Options{Look: true, Logger: words})
		if errors.Is(err, fs.ErrNotExist) {
			err = &hintedError{error: err, hint: "give the store with --store; talos dev keeps its own in the folder <data>/store"}
		}
		return store, err
	}
	cmd.AddCommand(newSegmentList(open), newSegmentDump(open), newSegmentVerify(open))
	return cmd
}

// opener opens the store that the command line names, for looking only.
type opener func(context.Context) (*stores.Opened, error)

// chosen returns the segments that the arguments name, all of them without any.
func chosen(ctx context.Context, store storage.Store, ids []string) ([]inspect.Entry, error) {
	if len(ids) == 0 {
		return inspect.List(ctx, store)
	}
	var all []inspect.Entry
	for _, id := range ids {
		e, err := inspect.Find(ctx, store, id)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// topicNames finds out what the topics of segments are called, from their
// manifests; a topic without one keeps its id.
func topicNames(ctx context.Context, store storage.Store, entries []inspect.Entry) map[talos.TopicID]string {
	names := map[talos.TopicID]string{}
	for _, e := range entries {
		id := e.Partition.Topic
		if _, ok := names[id]; ok {
			continue
		}
		names[id] = id.String()
		if m, err := manifest.Latest(ctx, store, id); err == nil {
			names[id] = string(m.Topic.Name)
		}
	}
	return names
}
