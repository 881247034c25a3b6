package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Write adds a version to the topic's manifests; it is durable on return. After
// an error it may be there or not.
func Write(ctx context.Context, store storage.Store, m Manifest) error {
	if m.Version < 1 || m.Version > maxVersion {
		return fmt.Errorf("manifest of %s: version %d is out of range", m.Topic.Name, m.Version)
	}
	content, err := m.encode()
	if err != nil {
		return fmt.Errorf("manifest of %s: %w", m.Topic.Name, err)
	}
	id := storage.ID{Folder: m.Topic.ID.String(), Name: name(m.Version, rand.Uint32())}
	appender, err := store.Create(ctx, id, content, talos.Sync)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", id, err)
	}
	if err := appender.Seal(ctx); err != nil {
		appender.Abandon()
		return fmt.Errorf("manifest %s: %w", id, err)
	}
	return nil
}

// Bury writes a tombstone for the topic unless its newest version is one. A
// topic that never got a valid manifest gets a tombstone as its first.
func Bury(ctx context.Context, store storage.Store, topic talos.Topic, now time.Time) error {
	newest, err := Latest(ctx, store, topic.ID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		newest = Manifest{Topic: topic}
	case err != nil:
		return err
	case newest.Deleted:
		return nil
	}
	tombstone := Manifest{Version: newest.Version + 1, Topic: newest.Topic, Deleted: true, Created: now}
	return Write(ctx, store, tombstone)
}

// Latest returns the newest valid version of a topic's manifest. Versions that
// are torn or damaged are passed over: an older one says what they were about.
// The error wraps storage.ErrNotFound if there is no valid one.
func Latest(ctx context.Context, store storage.Store, topic talos.TopicID) (Manifest, error) {
	names, err := list(ctx, store, topic)
	if err != nil {
		return Manifest{}, err
	}
	faults := []error{fmt.Errorf("manifest of topic %s: %w", topic, storage.ErrNotFound)}
	for i := len(names) - 1; i >= 0; i-- {
		m, err := read(ctx, store, topic, names[i])
		if err == nil {
			return m, nil
		}
		var d *damage
		if !errors.As(err, &d) {
			return Manifest{}, err
		}
		faults = append(faults, err)
	}
	return Manifest{}, errors.Join(faults...)
}

// Remove removes all versions, oldest first, so that a tombstone goes last.
func Remove(ctx context.Context, store storage.Store, topic talos.TopicID) error {
	names, err := list(ctx, store, topic)
	if err != nil {
		return err
	}
	for _, name := range names {
		id := storage.ID{Folder: topic.String(), Name: name}
		if err := store.Remove(ctx, id); err != nil {
			return fmt.Errorf("remove manifest %s: %w", id, err)
		}
	}
	return nil
}

// list returns the names of the topic's manifests, sorted: by version.
func list(ctx context.Context, store storage.Store, topic talos.TopicID) ([]string, error) {
	listing, err := store.List(ctx, topic.String())
	if err != nil {
		return nil, fmt.Errorf("list manifests of topic %s: %w", topic, err)
	}
	var names []string
	for _, info := range listing.Segments {
		if _, ok := versionOf(info.Name); ok {
			names = append(names, info.Name)
		}
	}
	return names, nil
}

// damage is what is wrong with a manifest that could be read from the store but
// means nothing.
type damage struct {
	id    storage.ID
	fault error
}

func (d *damage) Error() string { return fmt.Sprintf("manifest %s: %v", d.id, d.fault) }

func (d *damage) Unwrap() error { return d.fault }

func read(ctx context.Context, store storage.Store, topic talos.TopicID, name string) (_ Manifest, err error) {
	id := storage.ID{Folder: topic.String(), Name: name}
	defer func() {
		if err != nil {
			err = fmt.Errorf("read manifest %s: %w", id, err)
		}
	}()
	r, err := store.Open(ctx, id)
	if err != nil {
		return Manifest{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	size, err := r.Size(ctx)
	if err != nil {
		return Manifest{}, err
	}
	if size > maxBytes {
		return Manifest{}, &damage{id, fmt.Errorf("it has %d bytes, the limit is %d", size, maxBytes)}
	}
	content := make([]byte, size)
	n, err := r.ReadAt(ctx, content, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Manifest{}, err
	}
	m, err := decode(content[:n])
	if err != nil {
		return Manifest{}, &damage{id, err}
	}
	if version, _ := versionOf(name); version != m.Version || m.Topic.ID != topic {
		return Manifest{}, &damage{id, errors.New("it is not about the topic and version that its name states")}
	}
	return m, nil
}
