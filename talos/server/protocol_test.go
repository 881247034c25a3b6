package server

import (
	"testing"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

// A node of protocols 4 to 5 takes clients of 3 to 6, unary calls and streams,
// and tells all others what to update; Version and health it answers to anybody.
func TestNodeRefusesClientsThatItMayNotUnderstand(t *testing.T) {
	n := newCluster().prepare(t, "n1")
	n.cfg.Protocols = talos.Protocols{Oldest: 4, Newest: 5}
	n.run(t)
	n.awaitServing(t)
	for _, c := range []struct {
		stated string
		kind   talos.Kind
		says   string
	}{
		{"3-4", "", ""},
		{"5-6", "", ""},
		{"6-7", talos.Incompatible, "the client speaks protocols 6 to 7, the node n1 (v0.0.0-test) speaks protocols 4 to 5: update the node"},
		{"2-3", talos.Incompatible, "update the client"},
		{"", talos.Incompatible, "the client speaks protocol 1"},
		{"new", talos.InvalidRequest, "want OLDEST-NEWEST"},
	} {
		ctx := t.Context()
		if c.stated != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, talos.ProtocolHeader, c.stated)
		}
		_, unary := n.admin.ListTopics(ctx, &talosv1.ListTopicsRequest{})
		stream, err := n.log.Produce(ctx)
		require.NoError(t, err)
		require.NoError(t, stream.CloseSend())
		_, streamed := stream.Recv()
		if c.kind == "" {
			require.NoError(t, unary)
			require.ErrorContains(t, streamed, "EOF")
		} else {
			for _, err := range []error{unary, streamed} {
				require.Equal(t, string(c.kind), detail(t, err).GetKind(), c.stated)
				require.Contains(t, detail(t, err).GetMessage(), c.says)
			}
		}
		version, err := n.admin.Version(ctx, &talosv1.VersionRequest{})
		require.NoError(t, err)
		require.Equal(t, []int32{5, 4}, []int32{version.GetProtocol(), version.GetOldestProtocol()})
		_, err = grpc_health_v1.NewHealthClient(n.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
	}
}
