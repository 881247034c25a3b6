package namenode

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func block() *wire.ExtendedBlock {
	return &wire.ExtendedBlock{PoolId: proto.String("pool"), BlockId: proto.Uint64(1), GenerationStamp: proto.Uint64(1001)}
}

func located() *wire.LocatedBlock {
	return &wire.LocatedBlock{
		Block: block(), Offset: proto.Uint64(0), Corrupt: proto.Bool(false),
		Token: &wire.Token{Identifier: []byte{}, Password: []byte{}, Kind: proto.String(""), Service: proto.String("")},
	}
}

func mode() *wire.Permission { return &wire.Permission{Perm: proto.Uint32(0o755)} }

// same requires what a call returned to be what the NameNode sent.
func same(t *testing.T, want, got proto.Message) {
	t.Helper()
	require.True(t, proto.Equal(want, got), "%v is not %v", got, want)
}

// Each method calls what Java calls so, and returns what was answered.
func TestMethods(t *testing.T) {
	yes, path, holder := proto.Bool(true), proto.String("/a"), proto.String("talos-1")
	for name, test := range map[string]struct {
		answer proto.Message
		call   func(context.Context, *testing.T, *Client) error
	}{
		"create": {&wire.CreateResponse{File: status("a")}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.Create(ctx, &wire.CreateRequest{
				Src: path, Masked: mode(), ClientName: holder, CreateFlag: proto.Uint32(1), CreateParent: yes,
				Replication: proto.Uint32(3), BlockSize: proto.Uint64(1),
			})
			same(t, status("a"), got)
			return err
		}},
		"append": {&wire.AppendResponse{Block: located()}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.Append(ctx, &wire.AppendRequest{Src: path, ClientName: holder})
			same(t, located(), got.GetBlock())
			return err
		}},
		"addBlock": {&wire.AddBlockResponse{Block: located()}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.AddBlock(ctx, &wire.AddBlockRequest{Src: path, ClientName: holder})
			same(t, located(), got)
			return err
		}},
		"abandonBlock": {&wire.AbandonBlockResponse{}, func(ctx context.Context, _ *testing.T, c *Client) error {
			return c.AbandonBlock(ctx, &wire.AbandonBlockRequest{Block: block(), Src: path, Holder: holder})
		}},
		"fsync": {&wire.FsyncResponse{}, func(ctx context.Context, _ *testing.T, c *Client) error {
			return c.Fsync(ctx, &wire.FsyncRequest{Src: path, Client: holder})
		}},
		"complete": {&wire.CompleteResponse{Result: yes}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.Complete(ctx, &wire.CompleteRequest{Src: path, ClientName: holder})
			require.True(t, got)
			return err
		}},
		"updateBlockForPipeline": {&wire.UpdateBlockForPipelineResponse{Block: located()}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.UpdateBlockForPipeline(ctx, &wire.UpdateBlockForPipelineRequest{Block: block(), ClientName: holder})
			same(t, located(), got)
			return err
		}},
		"updatePipeline": {&wire.UpdatePipelineResponse{}, func(ctx context.Context, _ *testing.T, c *Client) error {
			return c.UpdatePipeline(ctx, &wire.UpdatePipelineRequest{ClientName: holder, OldBlock: block(), NewBlock: block()})
		}},
		"renewLease": {&wire.RenewLeaseResponse{}, func(ctx context.Context, _ *testing.T, c *Client) error {
			return c.RenewLease(ctx, *holder)
		}},
		"recoverLease": {&wire.RecoverLeaseResponse{Result: yes}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.RecoverLease(ctx, *path, *holder)
			require.True(t, got)
			return err
		}},
		"isFileClosed": {&wire.IsFileClosedResponse{Result: yes}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.IsFileClosed(ctx, *path)
			require.True(t, got)
			return err
		}},
		"getFileInfo": {&wire.GetFileInfoResponse{File: status("a")}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.GetFileInfo(ctx, *path)
			same(t, status("a"), got)
			return err
		}},
		"getBlockLocations": {&wire.GetBlockLocationsResponse{Locations: openBlocks()}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.GetBlockLocations(ctx, *path)
			same(t, openBlocks(), got)
			return err
		}},
		"mkdirs": {&wire.MkdirsResponse{Result: yes}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.Mkdirs(ctx, &wire.MkdirsRequest{Src: path, Masked: mode(), CreateParent: yes})
			require.True(t, got)
			return err
		}},
		"setPermission": {&wire.SetPermissionResponse{}, func(ctx context.Context, _ *testing.T, c *Client) error {
			return c.SetPermission(ctx, &wire.SetPermissionRequest{Src: path, Permission: mode()})
		}},
		"getDatanodeReport": {&wire.GetDatanodeReportResponse{Datanodes: []*wire.DatanodeInfo{node()}}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.GetDatanodeReport(ctx, wire.DatanodeReportType_LIVE)
			require.Len(t, got, 1)
			same(t, node(), got[0])
			return err
		}},
		"setSafeMode": {&wire.SetSafeModeResponse{Result: yes}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.SafeMode(ctx)
			require.True(t, got)
			return err
		}},
		"getServerDefaults": {&wire.GetServerDefaultsResponse{ServerDefaults: defaults()}, func(ctx context.Context, t *testing.T, c *Client) error {
			got, err := c.GetServerDefaults(ctx)
			same(t, defaults(), got)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, w := start(t, 1, always(reaction{answer: test.answer}))
				require.NoError(t, test.call(t.Context(), t, c))
				require.Len(t, w.seen(), 1)
				require.Equal(t, name, w.seen()[0].method)
			})
		})
	}
}

func openBlocks() *wire.LocatedBlocks {
	return &wire.LocatedBlocks{
		FileLength: proto.Uint64(0), UnderConstruction: proto.Bool(true), LastBlock: located(), IsLastBlockComplete: proto.Bool(false),
	}
}

func node() *wire.DatanodeInfo {
	return &wire.DatanodeInfo{Id: &wire.DatanodeID{
		IpAddr: proto.String("127.0.0.1"), HostName: proto.String("dn"), DatanodeUuid: proto.String("u"),
		XferPort: proto.Uint32(1), InfoPort: proto.Uint32(2), IpcPort: proto.Uint32(3),
	}}
}

func defaults() *wire.ServerDefaults {
	return &wire.ServerDefaults{
		BlockSize: proto.Uint64(1), BytesPerChecksum: proto.Uint32(512), WritePacketSize: proto.Uint32(1),
		Replication: proto.Uint32(3), FileBufferSize: proto.Uint32(1), EncryptDataTransfer: proto.Bool(true),
	}
}
