package inspect

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// Entry is one segment of a partition's folder.
type Entry struct {
	Partition talos.PartitionID
	Name      talos.SegmentName
	// Size is in bytes; of a segment that is being written, as of now.
	Size int64
	// Superseded is true if there is a segment of the same number with a higher
	// epoch: this one most probably never counted.
	Superseded bool
	// nextBase is the base of the segment behind it in the chain; 0 if it is the
	// last one.
	nextBase talos.Offset
}

// ID is the segment's id in the store.
func (e Entry) ID() storage.ID {
	return storage.ID{Folder: e.Partition.String(), Name: e.Name.String()}
}

// List returns the segments of all partitions, ordered by topic id, partition and
// name. Whatever else lies in the store is passed over.
func List(ctx context.Context, store storage.Store) ([]Entry, error) {
	root, err := store.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("list the store: %w", err)
	}
	var all []Entry
	for _, folder := range root.Folders {
		topic, err := talos.ParseTopicID(folder)
		if err != nil {
			continue
		}
		partitions, err := store.List(ctx, folder)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", folder, err)
		}
		for _, p := range partitions.Folders {
			number, err := strconv.ParseInt(p, 10, 32)
			if err != nil {
				continue
			}
			found, err := listPartition(ctx, store, talos.PartitionID{Topic: topic, Number: int32(number)})
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

// Find returns the segment with this id, "folder/name" as List prints it.
func Find(ctx context.Context, store storage.Store, id string) (Entry, error) {
	folder, name := cutLast(id)
	topic, partition := cutLast(folder)
	topicID, err1 := talos.ParseTopicID(topic)
	number, err2 := strconv.ParseInt(partition, 10, 32)
	_, err3 := talos.ParseSegmentName(name)
	if err1 != nil || err2 != nil || err3 != nil {
		return Entry{}, &talos.Error{
			Kind: talos.InvalidRequest, Op: "inspect.Find", Subject: id,
			Detail: "a segment's id is <topic id>/<partition>/<name>, as `talos segment list` prints it",
		}
	}
	found, err := listPartition(ctx, store, talos.PartitionID{Topic: topicID, Number: int32(number)})
	if err != nil {
		return Entry{}, err
	}
	for _, e := range found {
		if e.Name.String() == name {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("%s: %w", id, storage.ErrNotFound)
}

// cutLast cuts around the last slash.
func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '/')
	return s[:max(i, 0)], s[i+1:]
}

func listPartition(ctx context.Context, store storage.Store, id talos.PartitionID) ([]Entry, error) {
	listing, err := store.List(ctx, id.String())
	if err != nil {
		return nil, fmt.Errorf("list %v: %w", id, err)
	}
	var all []Entry
	for _, s := range listing.Segments {
		if name, err := talos.ParseSegmentName(s.Name); err == nil {
			all = append(all, Entry{Partition: id, Name: name, Size: s.Size})
		}
	}
	// Names sort by number, then epoch: the last one of a number is its newest.
	next := talos.Offset(0)
	for i := len(all) - 1; i >= 0; i-- {
		e := &all[i]
		e.nextBase = next
		e.Superseded = i+1 < len(all) && all[i+1].Name.Number == e.Name.Number
		if !e.Superseded {
			next = e.Name.Base
		}
	}
	return all, nil
}
