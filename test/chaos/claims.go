package chaos

import (
	"context"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// claims returns the partitions of the quiet topic that a node answers for as their
// owner, asked by somebody who knows no better.
func (w *World) claims(ctx context.Context, m *member) (claimed []int32) {
	conn, err := grpc.NewClient("passthrough:///"+m.Listens(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(w.T, err)
	defer func() { require.NoError(w.T, conn.Close()) }()
	request := &talosv1.ListOffsetsRequest{}
	for p := range w.Config.Partitions {
		request.Partitions = append(request.Partitions, &talosv1.ListOffsetsPartition{TopicId: w.quiet[:], Partition: p})
	}
	answer, err := talosv1.NewLogClient(conn).ListOffsets(ctx, request)
	if err != nil {
		return nil // it refuses the whole call
	}
	for _, listed := range answer.GetPartitions() {
		if listed.GetError() == nil {
			claimed = append(claimed, listed.GetPartition())
		}
	}
	return claimed
}

// mustDisown waits until a node answers for nothing any more. It is not told that
// others have taken over: it must know by itself.
func (w *World) mustDisown(m *member) {
	w.T.Helper()
	var claimed []int32
	if !w.happens(func(ctx context.Context) bool {
		claimed = w.claims(ctx, m)
		return len(claimed) == 0
	}) {
		require.Failf(w.T, "a node without etcd goes on", "%s answers for partitions %v of topic %s", m.id, claimed, quietTopic)
	}
}
