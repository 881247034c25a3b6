package chaos

import (
	"context"
	"fmt"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// claims says which partition a node goes on to answer for as if it were the
// owner, asked by somebody who knows no better; empty once it answers for none.
func (w *World) claims(m *member, partitions []int32) (claimed string) {
	w.T.Helper()
	conn, err := grpc.NewClient("passthrough:///"+m.Listens(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(w.T, err)
	defer func() { require.NoError(w.T, conn.Close()) }()
	request := &talosv1.ListOffsetsRequest{}
	for _, p := range partitions {
		request.Partitions = append(request.Partitions, &talosv1.ListOffsetsPartition{TopicId: w.topic[:], Partition: p})
	}
	w.happens(func(ctx context.Context) bool {
		claimed = claim(talosv1.NewLogClient(conn).ListOffsets(ctx, request))
		return claimed == ""
	})
	return claimed
}

// claim reads from an answer what the node claims.
func claim(answer *talosv1.ListOffsetsResponse, err error) string {
	if err != nil {
		return "" // it refuses the whole call
	}
	for _, listed := range answer.GetPartitions() {
		if listed.GetError() == nil {
			return fmt.Sprintf("%s answers for partition %d under epoch %d", listed.GetOwner(), listed.GetPartition(), listed.GetEpoch())
		}
	}
	return ""
}
