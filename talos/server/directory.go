package server

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/talos-log/talos/talos"
)

// directory is the node's memory of which topics there are, so that requests
// need not ask the coordinator. Whoever changes it holds the term's turn.
type directory struct {
	mu     sync.RWMutex // guards the fields below
	byID   map[talos.TopicID]talos.Topic
	byName map[talos.TopicName]talos.Topic
}

func newDirectory() *directory {
	d := &directory{}
	d.replace(nil)
	return d
}

// replace makes topics the whole content.
func (d *directory) replace(topics []talos.Topic) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID = make(map[talos.TopicID]talos.Topic, len(topics))
	d.byName = make(map[talos.TopicName]talos.Topic, len(topics))
	for _, t := range topics {
		d.byID[t.ID], d.byName[t.Name] = t, t
	}
}

func (d *directory) add(t talos.Topic) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID[t.ID], d.byName[t.Name] = t, t
}

func (d *directory) remove(t talos.Topic) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byID, t.ID)
	if d.byName[t.Name].ID == t.ID {
		delete(d.byName, t.Name)
	}
}

// named returns the topic of a name; false if there is none.
func (d *directory) named(name talos.TopicName) (talos.Topic, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	t, ok := d.byName[name]
	return t, ok
}

// all returns the topics sorted by name.
func (d *directory) all() []talos.Topic {
	d.mu.RLock()
	defer d.mu.RUnlock()
	topics := make([]talos.Topic, 0, len(d.byName))
	for _, t := range d.byName {
		topics = append(topics, t)
	}
	slices.SortFunc(topics, func(a, b talos.Topic) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return topics
}

// count returns how many topics there are, and the sum of their partitions.
func (d *directory) count() (topics, partitions int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, t := range d.byID {
		partitions += int(t.Partitions)
	}
	return len(d.byID), partitions
}

// topicOf returns the topic that has the partition, or UnknownTopic or
// UnknownPartition.
func (d *directory) topicOf(id talos.PartitionID) (talos.Topic, error) {
	d.mu.RLock()
	t, ok := d.byID[id.Topic]
	d.mu.RUnlock()
	switch {
	case !ok:
		return t, &talos.Error{
			Kind: talos.UnknownTopic, Op: "server.directory", Subject: id.Topic.String(),
			Detail: "no topic has this id now",
		}
	case id.Number < 0 || id.Number >= t.Partitions:
		return t, &talos.Error{
			Kind: talos.UnknownPartition, Op: "server.directory",
			Subject: string(t.Name) + "/" + strconv.FormatInt(int64(id.Number), 10),
		}
	default:
		return t, nil
	}
}
