package namenode

import (
	"context"
	"errors"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// errNoFile and errNoBlock: an answer lacks what the call is made for.
var (
	errNoFile  = errors.New("the NameNode's answer describes no file")
	errNoBlock = errors.New("the NameNode's answer names no block")
)

// Create makes a file and takes its lease. ErrExists if the name is taken,
// ErrBeingCreated if the caller itself or another client is writing that file.
func (c *Client) Create(ctx context.Context, req *wire.CreateRequest) (*wire.FileStatus, error) {
	var resp wire.CreateResponse
	if err := c.call(ctx, "create", req, &resp); err != nil {
		return nil, err
	}
	if resp.File == nil {
		return nil, errNoFile
	}
	return resp.File, nil
}

// Append opens a closed file and takes its lease. The answer's block is its last
// one, nil if that is full.
func (c *Client) Append(ctx context.Context, req *wire.AppendRequest) (*wire.AppendResponse, error) {
	resp := &wire.AppendResponse{}
	if err := c.call(ctx, "append", req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// AddBlock allocates a file's next block. Sent again it returns the same one,
// unless that was written meanwhile. It may name fewer DataNodes than wanted;
// ErrTooFewNodes if it would name none.
func (c *Client) AddBlock(ctx context.Context, req *wire.AddBlockRequest) (*wire.LocatedBlock, error) {
	var resp wire.AddBlockResponse
	if err := c.call(ctx, "addBlock", req, &resp); err != nil {
		return nil, err
	}
	if resp.Block == nil {
		return nil, errNoBlock
	}
	return resp.Block, nil
}

// AbandonBlock takes the last block off an open file. Bytes that were
// acknowledged in it are lost.
func (c *Client) AbandonBlock(ctx context.Context, req *wire.AbandonBlockRequest) error {
	return c.call(ctx, "abandonBlock", req, &wire.AbandonBlockResponse{})
}

// Fsync tells the NameNode how long the last block is at least.
func (c *Client) Fsync(ctx context.Context, req *wire.FsyncRequest) error {
	return c.call(ctx, "fsync", req, &wire.FsyncResponse{})
}

// Complete closes a file. It returns false as long as no DataNode has reported
// the last block at that length; completing a closed file is fine.
func (c *Client) Complete(ctx context.Context, req *wire.CompleteRequest) (bool, error) {
	var resp wire.CompleteResponse
	err := c.call(ctx, "complete", req, &resp)
	return resp.GetResult(), err
}

// UpdateBlockForPipeline asks for a new generation stamp of an open block, and a
// token for it.
func (c *Client) UpdateBlockForPipeline(ctx context.Context, req *wire.UpdateBlockForPipelineRequest) (*wire.LocatedBlock, error) {
	var resp wire.UpdateBlockForPipelineResponse
	if err := c.call(ctx, "updateBlockForPipeline", req, &resp); err != nil {
		return nil, err
	}
	if resp.Block == nil {
		return nil, errNoBlock
	}
	return resp.Block, nil
}

// UpdatePipeline makes the new stamp and the DataNodes that bear it the block's.
func (c *Client) UpdatePipeline(ctx context.Context, req *wire.UpdatePipelineRequest) error {
	return c.call(ctx, "updatePipeline", req, &wire.UpdatePipelineResponse{})
}

// RenewLease keeps all open files of a client its own for another 60 s.
func (c *Client) RenewLease(ctx context.Context, clientName string) error {
	return c.call(ctx, "renewLease", &wire.RenewLeaseRequest{ClientName: &clientName}, &wire.RenewLeaseResponse{})
}

// RecoverLease takes a file from whoever writes it and has it closed; true if it
// is closed already.
func (c *Client) RecoverLease(ctx context.Context, path, clientName string) (bool, error) {
	var resp wire.RecoverLeaseResponse
	err := c.call(ctx, "recoverLease", &wire.RecoverLeaseRequest{Src: &path, ClientName: &clientName}, &resp)
	return resp.GetResult(), err
}
