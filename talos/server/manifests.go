package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/server/manifest"
)

// addManifest makes a topic's next manifest say what the topic is to be.
func (t *term) addManifest(ctx context.Context, topic talos.Topic) error {
	newest, err := manifest.Latest(ctx, t.node.cfg.Store, topic.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return storeError("server.AlterTopic", topic, err)
	}
	return t.writeManifest(ctx, newest.Version+1, topic)
}

func (t *term) writeManifest(ctx context.Context, version int64, topic talos.Topic) error {
	next := manifest.Manifest{Version: version, Topic: topic, Created: time.Now()}
	if err := manifest.Write(ctx, t.node.cfg.Store, next); err != nil {
		return storeError("server.AlterTopic", topic, err)
	}
	return nil
}

// settleManifest makes the newest manifest say what the topic is. Of two nodes that
// alter it at once, the one whose change came to nothing may have written the newest,
// which rests on what the topic was before.
//
// Whoever writes a manifest, or changes the topic, ends with a look at the topic and
// then at the newest manifest which finds them equal. So the last of them leaves them
// equal.
func (t *term) settleManifest(ctx context.Context, name talos.TopicName, id talos.TopicID) error {
	for {
		topic, err := t.node.cfg.Meta.Topic(ctx, name)
		if errors.Is(err, talos.UnknownTopic) || err == nil && topic.ID != id {
			return t.endManifest(ctx, talos.Topic{ID: id, Name: name})
		}
		if err != nil {
			return err
		}
		newest, err := manifest.Latest(ctx, t.node.cfg.Store, id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return storeError("server.AlterTopic", topic, err)
		}
		if newest.Deleted || newest.Topic == topic {
			return nil
		}
		if err := t.writeManifest(ctx, newest.Version+1, topic); err != nil {
			return err
		}
	}
}

// endManifest makes the newest manifest of a deleted topic say so, if one was written
// behind that. If the removal of its data is over, nobody will take it away: then it
// goes at once.
func (t *term) endManifest(ctx context.Context, topic talos.Topic) error {
	store := t.node.cfg.Store
	_, err := manifest.Latest(ctx, store, topic.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = manifest.Bury(ctx, store, topic, time.Now())
	}
	if err != nil {
		return storeError("server.AlterTopic", topic, err)
	}
	left, err := t.node.cfg.Meta.Deleted(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(left, func(other talos.Topic) bool { return other.ID == topic.ID }) {
		return nil
	}
	return removeManifests(ctx, store, topic.ID)
}
