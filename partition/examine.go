package partition

import (
	"context"
	"errors"
	"fmt"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/segment"
	"github.com/talos-log/talos/talos"
)

// examine looks into one segment. A segment in which anything follows the header
// has counted: its creator appends nothing before the record's tail has reached
// it.
//
// One that can't be read as it is may be readable once it is recovered: on HDFS,
// after the DataNodes were restarted while it was written. Nobody else would do
// that for a segment beyond the tail. Who wrote it either has a lower epoch than
// the caller, or goes on in a new segment.
func examine(ctx context.Context, store storage.Store, id talos.PartitionID, name talos.SegmentName) (segment.Content, error) {
	content, err := examineOnce(ctx, store, id, name)
	if talos.KindOf(err) != talos.StoreUnavailable || errors.Is(err, storage.ErrNotFound) {
		return content, err
	}
	at := storage.ID{Folder: id.String(), Name: name.String()}
	if _, failed := store.Recover(ctx, at); failed != nil {
		return segment.Content{}, errors.Join(err, storeError("recover", at, failed))
	}
	return examineOnce(ctx, store, id, name)
}

func examineOnce(ctx context.Context, store storage.Store, id talos.PartitionID, name talos.SegmentName) (segment.Content, error) {
	at := storage.ID{Folder: id.String(), Name: name.String()}
	reader, err := store.Open(ctx, at)
	if err != nil {
		return segment.Content{}, storeError("open", at, err)
	}
	defer closeReader(reader)
	size, err := reader.Size(ctx)
	if err != nil {
		return segment.Content{}, storeError("size of", at, err)
	}
	content, err := segment.Examine(ctx, reader, size, at.String())
	if err != nil {
		return segment.Content{}, storeError("examine", at, err)
	}
	if content.Begun && (content.Name != name || content.Topic != id.Topic || content.Partition != id.Number) {
		return segment.Content{}, &talos.Error{
			Kind: talos.CorruptSegment, Op: "partition.examine", Subject: at.String(),
			Detail: fmt.Sprintf("its header says that it is %v of %v/%d", content.Name, content.Topic, content.Partition),
		}
	}
	return content, nil
}

// checkBeyond proves that what lies beyond the tail never counted. Names alone
// can't: where the record is an old copy that misses the last segment only, that
// one looks like a create of a deposed owner, and would be removed as such.
func (l *Log) checkBeyond(ctx context.Context, segments []storage.Info) error {
	for _, s := range segments {
		name, err := talos.ParseSegmentName(s.Name)
		if err != nil || name.Number <= l.rec.Tail {
			continue
		}
		content, err := examine(ctx, l.cfg.Store, l.id, name)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			// A later owner has swept it; the next call of the record tells.
		case err != nil:
			return err
		case content.Used:
			return &talos.Error{
				Kind: talos.RestoredRecord, Op: "partition.Open", Subject: l.id.String(),
				Detail: fmt.Sprintf("the record says %v, yet segment %v beyond its tail was written to", l.rec, name),
			}
		}
	}
	return nil
}
