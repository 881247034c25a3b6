package namenode

import (
	"context"
	"errors"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// maxProofs bounds how often FromActive begins again.
const maxProofs = 10

// errMoving: the NameNodes took turns faster than could be read.
var errMoving = errors.New("another NameNode became the active one again and again")

// FromActive makes the calls of read, which reads, and returns when all of them were
// answered by a NameNode that was the active one at some time since FromActive was
// called, so that they show everything that was done before. It may run read more
// than once.
//
// Of a pair, one that stood still while the other was made active does not know of
// that and answers what it knew, until it has to write: the JournalNodes take
// nothing from it, and it ends. So it is made to write first, the time of the folder.
// One NameNode alone needs no proof.
func (c *Client) FromActive(ctx context.Context, folder string, read func(context.Context) error) error {
	if len(c.servers) == 1 {
		return read(ctx)
	}
	for range maxProofs {
		before := c.place.Load()
		if err := c.setTimes(ctx, folder); err != nil {
			return err
		}
		if c.place.Load() != before {
			continue // it was not the first to be asked that wrote
		}
		if err := read(ctx); c.place.Load() == before {
			return err
		}
	}
	return errors.Join(ErrUnavailable, errMoving)
}

// setTimes sets the time of a file or folder to now.
func (c *Client) setTimes(ctx context.Context, path string) error {
	return c.call(ctx, "setTimes", &wire.SetTimesRequest{
		Src: &path, Mtime: proto.Uint64(uint64(time.Now().UnixMilli())),
		Atime: proto.Uint64(math.MaxUint64), // -1: as it is
	}, &wire.SetTimesResponse{})
}
