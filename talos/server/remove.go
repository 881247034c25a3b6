package server

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/manifest"
	"golang.org/x/sync/errgroup"
)

// removeDeleted removes the data of all topics that were deleted, if this node is
// the scheduler: so one does it.
func (t *term) removeDeleted(ctx context.Context) error {
	if t.view.Scheduler() != t.node.cfg.NodeID {
		return nil
	}
	topics, err := t.node.cfg.Meta.Deleted(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, topic := range topics {
		if err := t.removeTopic(ctx, topic); err != nil {
			errs = append(errs, fmt.Errorf("remove topic %s (%s): %w", topic.Name, topic.ID, err))
		}
	}
	return errors.Join(errs...)
}

// removeTopic removes what a deleted topic left in the store. Each step may be
// the last one before the node dies: the coordinator forgets the topic only
// after all are done, and each may be repeated. The tombstone goes first and
// comes off last, so that the store alone says that the data may go.
func (t *term) removeTopic(ctx context.Context, topic talos.Topic) error {
	if err := t.partitions.closeTopic(ctx, topic.ID); err != nil {
		// What is not sealed goes all the same.
		t.node.cfg.Logger.Warn("partitions of a deleted topic were not closed in good order", "topic", string(topic.Name), "error", err)
	}
	store := t.node.cfg.Store
	if err := manifest.Bury(ctx, store, topic, time.Now()); err != nil {
		return err
	}
	if err := removeData(ctx, store, topic.ID); err != nil {
		return err
	}
	if err := removeManifests(ctx, store, topic.ID); err != nil {
		return err
	}
	if err := t.node.cfg.Meta.Forget(ctx, topic.ID); err != nil {
		return err
	}
	t.node.cfg.Logger.Info("data of a deleted topic removed", "topic", string(topic.Name), "id", topic.ID.String())
	return nil
}

// removeManifests removes the last that there is of a topic which nobody needs: its
// manifests, and what the store keeps of everything that was removed before.
func removeManifests(ctx context.Context, store storage.Store, topic talos.TopicID) error {
	if err := manifest.Remove(ctx, store, topic); err != nil {
		return err
	}
	if err := storage.Purge(ctx, store, topic.String()); err != nil {
		return fmt.Errorf("purge %s: %w", topic, err)
	}
	return nil
}

// removePasses bounds how often a topic's folder is listed for segments that
// appeared after the last listing.
const removePasses = 3

// removeData removes all segments of a topic's partitions, until none is listed.
func removeData(ctx context.Context, store storage.Store, topic talos.TopicID) error {
	for range removePasses {
		removed, err := removeListed(ctx, store, topic)
		if err != nil || removed == 0 {
			return err
		}
	}
	return errors.New("new segments appear in the folder of a deleted topic")
}

func removeListed(ctx context.Context, store storage.Store, topic talos.TopicID) (int64, error) {
	listing, err := store.List(ctx, topic.String())
	if err != nil {
		return 0, fmt.Errorf("list %s: %w", topic, err)
	}
	var removed atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxOpening)
	for _, name := range listing.Folders {
		folder := topic.String() + "/" + name
		group.Go(func() error {
			segments, err := store.List(ctx, folder)
			if err != nil {
				return fmt.Errorf("list %s: %w", folder, err)
			}
			for _, info := range segments.Segments {
				id := storage.ID{Folder: folder, Name: info.Name}
				if err := store.Remove(ctx, id); err != nil {
					return fmt.Errorf("remove %s: %w", id, err)
				}
				removed.Add(1)
			}
			return nil
		})
	}
	err = group.Wait()
	return removed.Load(), err
}
