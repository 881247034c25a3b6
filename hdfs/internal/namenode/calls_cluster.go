package namenode

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// GetServerDefaults returns the cluster's settings for clients.
func (c *Client) GetServerDefaults(ctx context.Context) (*wire.ServerDefaults, error) {
	var resp wire.GetServerDefaultsResponse
	if err := c.call(ctx, "getServerDefaults", &wire.GetServerDefaultsRequest{}, &resp); err != nil {
		return nil, err
	}
	if resp.ServerDefaults == nil {
		return nil, errors.New("the NameNode's answer has no server defaults")
	}
	return resp.ServerDefaults, nil
}

// GetDatanodeReport returns the DataNodes of a sort. Only the superuser may:
// ErrPermission for others.
func (c *Client) GetDatanodeReport(ctx context.Context, sort wire.DatanodeReportType) ([]*wire.DatanodeInfo, error) {
	var resp wire.GetDatanodeReportResponse
	err := c.call(ctx, "getDatanodeReport", &wire.GetDatanodeReportRequest{Type: &sort}, &resp)
	return resp.GetDatanodes(), err
}

// SafeMode tells whether the active NameNode is in safe mode, and changes nothing.
func (c *Client) SafeMode(ctx context.Context) (bool, error) {
	var resp wire.SetSafeModeResponse
	req := &wire.SetSafeModeRequest{Action: wire.SafeModeAction_SAFE_MODE_GET.Enum(), Checked: proto.Bool(true)}
	err := c.call(ctx, "setSafeMode", req, &resp)
	return resp.GetResult(), err
}
