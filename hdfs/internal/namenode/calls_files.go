package namenode

import (
	"context"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// maxListed bounds what List gathers, in entries.
const maxListed = 1 << 20

// GetFileInfo describes a file or folder. ErrNotFound if there is none.
func (c *Client) GetFileInfo(ctx context.Context, path string) (*wire.FileStatus, error) {
	var resp wire.GetFileInfoResponse
	if err := c.call(ctx, "getFileInfo", &wire.GetFileInfoRequest{Src: &path}, &resp); err != nil {
		return nil, err
	}
	if resp.File == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, path)
	}
	return resp.File, nil
}

// GetListing returns a page of a folder's entries by name, after a name. A file
// lists itself, with an empty name. It returns nil if there is neither.
func (c *Client) GetListing(ctx context.Context, req *wire.GetListingRequest) (*wire.DirectoryListing, error) {
	var resp wire.GetListingResponse
	if err := c.call(ctx, "getListing", req, &resp); err != nil {
		return nil, err
	}
	return resp.Listing, nil
}

// List returns all entries of a folder by name, page by page: what changes
// meanwhile may or may not be seen. A folder that is not there has none. With
// located, files come with the locations of their blocks.
func (c *Client) List(ctx context.Context, path string, located bool) ([]*wire.FileStatus, error) {
	var entries []*wire.FileStatus
	after := []byte{}
	for {
		page, err := c.GetListing(ctx, &wire.GetListingRequest{Src: &path, StartAfter: after, NeedLocation: &located})
		if err != nil {
			return nil, err
		}
		entries = append(entries, page.GetEntries()...)
		if page.GetRemaining() == 0 || len(page.GetEntries()) == 0 {
			return entries, nil
		}
		if len(entries) > maxListed {
			return nil, fmt.Errorf("%s has more than %d entries", path, maxListed)
		}
		after = entries[len(entries)-1].GetPath()
	}
}

// Delete removes a file or folder. It returns false if there was none, and
// ErrNotEmpty for a folder with entries unless recursive.
func (c *Client) Delete(ctx context.Context, path string, recursive bool) (bool, error) {
	var resp wire.DeleteResponse
	err := c.call(ctx, "delete", &wire.DeleteRequest{Src: &path, Recursive: &recursive}, &resp)
	return resp.GetResult(), err
}

// Mkdirs makes a folder; one that exists is fine.
func (c *Client) Mkdirs(ctx context.Context, req *wire.MkdirsRequest) (bool, error) {
	var resp wire.MkdirsResponse
	err := c.call(ctx, "mkdirs", req, &resp)
	return resp.GetResult(), err
}

// SetPermission sets a mode; on files the sticky bit is kept and means nothing.
func (c *Client) SetPermission(ctx context.Context, req *wire.SetPermissionRequest) error {
	return c.call(ctx, "setPermission", req, &wire.SetPermissionResponse{})
}

// GetBlockLocations returns all blocks of a file. ErrNotFound if there is none.
func (c *Client) GetBlockLocations(ctx context.Context, path string) (*wire.LocatedBlocks, error) {
	var resp wire.GetBlockLocationsResponse
	req := &wire.GetBlockLocationsRequest{Src: &path, Offset: proto.Uint64(0), Length: proto.Uint64(math.MaxInt64)}
	if err := c.call(ctx, "getBlockLocations", req, &resp); err != nil {
		return nil, err
	}
	if resp.Locations == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, path)
	}
	return resp.Locations, nil
}

// IsFileClosed tells whether nobody writes a file. ErrNotFound if there is none.
func (c *Client) IsFileClosed(ctx context.Context, path string) (bool, error) {
	var resp wire.IsFileClosedResponse
	err := c.call(ctx, "isFileClosed", &wire.IsFileClosedRequest{Src: &path}, &resp)
	return resp.GetResult(), err
}
