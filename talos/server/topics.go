package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/manifest"
)

// change runs one change of the topics: alone, and to its end even if the client
// goes away, so that it is not left half done for that reason. It ends with the
// term.
func (t *term) change(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	giveBack, err := t.take(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	return f(ctx)
}

// createTopic makes a topic that validateTopic has passed. The manifest comes
// first: a topic without one would be data of which the store can't say what it
// is, a manifest without a topic is a file that nobody misses.
func (t *term) createTopic(ctx context.Context, topic talos.Topic) error {
	err := t.change(ctx, func(ctx context.Context) error {
		if _, taken := t.view.Topic(topic.Name); taken {
			return &talos.Error{Kind: talos.TopicExists, Op: "server.CreateTopic", Subject: string(topic.Name)}
		}
		may := func() error {
			if topic.Name.Internal() {
				return nil
			}
			return t.mayHave("server.CreateTopic", topic.Name, 1, topic.Partitions)
		}
		if err := may(); err != nil {
			return err // before a manifest is written
		}
		first := manifest.Manifest{Version: 1, Topic: topic, Created: time.Now()}
		if err := manifest.Write(ctx, t.node.cfg.Store, first); err != nil {
			return storeError("server.CreateTopic", topic, err)
		}
		uncertain := false
		err := t.settle(ctx, func() error {
			err := t.node.cfg.Meta.CreateTopic(ctx, topic, may)
			uncertain = uncertain || isUncertain(err)
			return err
		})
		if err == nil || uncertain {
			// Or it may exist now, or later: then its manifest stays.
			return err
		}
		return errors.Join(err, removeManifests(ctx, t.node.cfg.Store, topic.ID))
	})
	if err != nil {
		return err
	}
	t.awaitPlaced(ctx, topic.ID)
	t.node.cfg.Logger.Info("topic created", "topic", string(topic.Name), "id", topic.ID.String(), "partitions", topic.Partitions)
	return nil
}

// mayHave returns LimitReached if the cluster would have too much with more topics
// and partitions.
func (t *term) mayHave(op string, name talos.TopicName, moreTopics int, morePartitions int32) error {
	capacity := t.node.cfg.Capacity
	topics, partitions := t.view.Count()
	if own, ok := t.view.Topic(groupsTopic); ok {
		topics, partitions = topics-1, partitions-int(own.Partitions)
	}
	refusal := &talos.Error{Kind: talos.LimitReached, Op: op, Subject: string(name)}
	switch {
	case topics+moreTopics > capacity.Topics:
		refusal.Detail = fmt.Sprintf("there are %d topics (limits.topics)", topics)
	case partitions+int(morePartitions) > capacity.Partitions:
		refusal.Detail = fmt.Sprintf("there are %d partitions, with this topic it would be %d, more than %d (limits.partitions)",
			partitions, partitions+int(morePartitions), capacity.Partitions)
	default:
		return nil
	}
	return refusal
}

// alterTopic changes a topic, and returns what it is then. The manifest is written
// first, as for a new topic: if this node dies, the store knows of more than there
// is.
func (t *term) alterTopic(ctx context.Context, name talos.TopicName, change talos.TopicChange) (talos.Topic, error) {
	var altered talos.Topic
	err := t.change(ctx, func(ctx context.Context) error {
		var written talos.TopicID // whose manifest
		err := t.settle(ctx, func() (err error) {
			altered, err = t.node.cfg.Meta.AlterTopic(ctx, name, func(now talos.Topic) (talos.Topic, error) {
				next, err := change.Apply(now)
				if err != nil || next == now {
					return next, err
				}
				if more := next.Partitions - now.Partitions; more > 0 {
					if err := t.mayHave("server.AlterTopic", name, 0, more); err != nil {
						return next, err
					}
				}
				written = now.ID
				return next, t.addManifest(ctx, next)
			})
			return err
		})
		if err != nil {
			if written != (talos.TopicID{}) {
				err = errors.Join(err, t.settleManifest(ctx, name, written))
			}
			return err
		}
		t.node.cfg.Logger.Info("topic altered", "topic", string(name), "id", altered.ID.String(), "partitions", altered.Partitions)
		// Also if nothing changed: the call before may have ended half way. The
		// partitions of other nodes follow by themselves.
		if err := t.node.cfg.Meta.AwaitTopic(ctx, altered.ID); err != nil {
			return err
		}
		return errors.Join(t.settleManifest(ctx, name, altered.ID), t.partitions.configure(ctx, altered.ID))
	})
	if err != nil {
		return talos.Topic{}, err
	}
	t.awaitPlaced(ctx, altered.ID)
	return altered, nil
}

// deleteTopic ends a topic; its data is removed in the background.
func (t *term) deleteTopic(ctx context.Context, name talos.TopicName) error {
	return t.change(ctx, func(ctx context.Context) error {
		topic, _ := t.view.Topic(name)
		uncertain := false
		err := t.settle(ctx, func() error {
			deleted, err := t.node.cfg.Meta.DeleteTopic(ctx, name)
			if uncertain && errors.Is(err, talos.UnknownTopic) {
				return nil // the attempt before it did it
			}
			uncertain = isUncertain(err)
			if err == nil {
				topic = deleted
			}
			return err
		})
		if err != nil {
			return err
		}
		t.node.cfg.Logger.Info("topic deleted", "topic", string(name), "id", topic.ID.String())
		return nil
	})
}

// placeTime is how long the maker of a topic waits until all its partitions have
// owners, so that it can be used at once.
const placeTime = 2 * time.Second

func (t *term) awaitPlaced(ctx context.Context, id talos.TopicID) {
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	for {
		moved := t.view.Moved()
		topic, ok := t.view.TopicOf(id)
		owners := t.view.Assignment(id).Owners
		if !ok || len(owners) >= int(topic.Partitions) && !slices.Contains(owners, "") {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return // it is made, and will be placed
		case <-t.ctx.Done():
			return
		}
	}
}

// settle repeats f while the coordinator can't be used, until ctx ends.
func (t *term) settle(ctx context.Context, f func() error) error {
	for failures := 0; ; failures++ {
		err := f()
		if !errors.Is(err, talos.MetaUnavailable) || ctx.Err() != nil {
			return err
		}
		wait(ctx, backoff(failures, minRetry, maxRetry))
	}
}

// isUncertain tells whether what failed may have happened all the same.
func isUncertain(err error) bool {
	switch talos.KindOf(err) {
	case talos.MetaUnavailable, talos.Timeout, talos.Canceled, talos.Internal:
		return err != nil
	default:
		return false
	}
}

func storeError(op string, topic talos.Topic, err error) error {
	if talos.KindOf(err) != talos.Internal {
		return err
	}
	return &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: string(topic.Name), Cause: err}
}
