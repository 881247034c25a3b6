package datanode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

// says is how a fake DataNode answers for its replica's length.
type says struct {
	length    int64
	exception string
	dead      bool
	after     time.Duration
}

const never = time.Hour

func TestTheVisibleLength(t *testing.T) {
	notFound := "org.apache.hadoop.hdfs.server.datanode.ReplicaNotFoundException"
	for name, c := range map[string]struct {
		nodes   []says
		want    int64
		reasons []string
		// takes is how long it takes, and again how long when asked once more.
		takes, again time.Duration
	}{
		"is the least that any replica has":   {nodes: []says{{length: 300}, {length: 100}, {length: 200}}, want: 100},
		"of those that answer":                {nodes: []says{{length: 300}, {exception: notFound}, {dead: true}}, want: 300},
		"leaves out what can't be read":       {nodes: []says{{length: 300}, {length: -1}}, want: 300},
		"waits for others, but not for long":  {nodes: []says{{length: 300}, {length: 100, after: never}, {length: 200, after: lengthGrace / 2}}, want: 200, takes: lengthGrace, again: lengthGrace / 2},
		"may be zero":                         {nodes: []says{{length: 0}, {length: 10}}, want: 0},
		"is unknown if no replica is there":   {nodes: []says{{exception: notFound}, {exception: notFound}}, reasons: []string{ReasonMissing, ReasonMissing}},
		"is unknown if no DataNode answers":   {nodes: []says{{after: never}}, reasons: []string{ReasonTimeout}, takes: lengthTimeout, again: lengthTimeout},
		"is unknown if none can be reached":   {nodes: []says{{dead: true}}, reasons: []string{ReasonConnect}},
		"is unknown if none can be read":      {nodes: []says{{length: -1}}, reasons: []string{ReasonError}},
		"is unknown if there are no replicas": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var work sync.WaitGroup
				var nodes []*fakeNode
				stop := make(chan struct{})
				for i := range c.nodes {
					f := newFakeNode(t, uint32(100+i))
					*f.info.Id.IpcPort = uint32(i)
					nodes = append(nodes, f)
				}
				dial := func(_ context.Context, address string) (net.Conn, error) {
					var port int
					_, err := fmt.Sscanf(address, "127.0.0.1:%d", &port)
					require.NoError(t, err)
					one := c.nodes[port]
					if one.dead {
						return nil, errors.New("refused")
					}
					ours, theirs := net.Pipe()
					work.Go(func() {
						answerCall(t, theirs, "getReplicaVisibleLength", func() (*wire.GetReplicaVisibleLengthResponse, string) {
							select {
							case <-time.After(one.after):
							case <-stop:
							}
							length := uint64(one.length)
							return &wire.GetReplicaVisibleLengthResponse{Length: &length}, one.exception
						})
					})
					return ours, nil
				}
				r, _ := reads(t, ReadConfig{Dial: dial})
				var got int64
				var err error
				for _, takes := range []time.Duration{c.takes, c.again} {
					begun := time.Now()
					got, err = r.VisibleLength(t.Context(), blockOn(nodes...))
					require.Equal(t, takes, time.Since(begun))
				}
				close(stop)
				if c.reasons == nil && len(c.nodes) > 0 {
					require.NoError(t, err)
					require.Equal(t, c.want, got)
				} else {
					var all *ReplicasError
					require.ErrorAs(t, err, &all)
					var reasons []string
					for _, one := range all.Replicas {
						reasons = append(reasons, one.Reason)
					}
					require.Equal(t, c.reasons, reasons)
				}
				r.Close()
				work.Wait()
			})
		})
	}
}

func TestTheEndOfAContextEndsTheQuestionForALength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		dial := func(ctx context.Context, _ string) (net.Conn, error) {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		r, _ := reads(t, ReadConfig{Dial: dial})
		begun := time.Now()
		_, err := r.VisibleLength(ctx, blockOn(newFakeNode(t, 1), newFakeNode(t, 2)))
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, time.Since(begun))
		require.Empty(t, r.health.sick, "the DataNodes are not to blame")
		r.Close()
	})
}
