package hdfsha_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs"
	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/model"
)

// patience bounds each thing that a test waits for.
const patience = time.Minute

// A NameNode that was active, stood still while another one was made active, and
// goes on: it does not know, and answers from what it had. A store that talks to it
// still must list what was created through the new one.
func TestAFormerActiveNameNodeDoesNotFoolAListing(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	behind := openStore(t, root)
	former := cluster.NameNode()
	former.Stop(t)
	cluster.Failover(t)
	created := storage.ID{Folder: "segments", Name: "new"}
	a, err := openStore(t, root).Create(t.Context(), created, []byte("head"), talos.Sync)
	require.NoError(t, err)
	t.Cleanup(a.Abandon)
	former.Continue(t)
	cluster.AwaitAnswer(t, former)

	listing, err := behind.List(t.Context(), created.Folder)
	require.NoError(t, err)
	require.Len(t, listing.Segments, 1, "a segment whose Create has returned is listed")
}

// The same, where it costs acknowledged records: an owner creates segment 1 and
// ends before the record's tail reaches it; the next one, which knows of the new
// NameNode, creates its own segment 1 and acknowledges; the third asks the former
// NameNode, which knows of the first of the two alone.
func TestAFormerActiveNameNodeDoesNotHideTheChain(t *testing.T) {
	cluster := running(t)
	root := cluster.StoreForTest(t)
	p := newPartition(t)
	behind := openStore(t, root)
	former := cluster.NameNode()

	p.records.Assign("first")
	first := p.open("first", openStore(t, root), func(r partition.Records) partition.Records {
		return endsBeforeSwap{r, func() {
			former.Stop(t)
			cluster.Failover(t)
			p.records.Assign("second")
		}}
	})
	p.model.Send(first, p.model.Plain(100, 1))
	p.await(first.Log.Done())
	p.model.Send(p.open("second", openStore(t, root), nil), p.model.Plain(200, 3))
	p.answered()
	former.Continue(t)
	cluster.AwaitAnswer(t, former)

	third := p.open("third", behind, nil)
	require.NoError(t, p.model.Breach())
	require.NoError(t, p.model.Look(t.Context(), third, 1<<20))
	require.NoError(t, p.model.Breach())
	require.EqualValues(t, 3, third.Log.Range().End)
}

// parted is a partition that owners over stores of their own open in turn.
type parted struct {
	t       *testing.T
	topic   talos.Topic
	model   *model.Model
	records *model.Record
	faults  *model.Faults
}

func newPartition(t *testing.T) *parted {
	t.Helper()
	return &parted{
		t: t, topic: talos.Topic{Name: "logs", ID: talos.TopicID{1}, Partitions: 1},
		model: model.New(talos.TopicConfig{}), records: model.NewRecord(), faults: &model.Faults{},
	}
}

// open opens the partition as the node of that name, which may see the record in
// its own way.
func (p *parted) open(node string, s *hdfs.Store, sees func(partition.Records) partition.Records) *model.Owner {
	p.t.Helper()
	p.records.Assign(node)
	records := p.records.As(node, p.faults)
	if sees != nil {
		records = sees(records)
	}
	var log *partition.Log
	for deadline := time.Now().Add(patience); ; {
		var err error
		log, err = partition.Open(p.t.Context(), partition.Config{
			Cluster: "c", Topic: p.topic, Store: s, Records: records,
			Logger: slog.New(slog.NewTextHandler(p.t.Output(), nil)).With("node", node),
		})
		if err == nil {
			break
		}
		// A node tries that again, too.
		require.ErrorIs(p.t, err, talos.StoreUnavailable)
		require.True(p.t, time.Now().Before(deadline), "%v", err)
		p.t.Logf("%s: %v", node, err)
	}
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		// A log that ended before says why.
		_ = log.Close(ctx)
	})
	return p.model.Opened(node, log)
}

func (p *parted) await(done <-chan struct{}) {
	p.t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		require.Fail(p.t, "it does not end")
	}
}

// answered waits until all that was sent has an answer.
func (p *parted) answered() {
	p.t.Helper()
	for p.model.Waiting(nil) > 0 {
		p.await(p.model.Answered())
	}
}

// endsBeforeSwap is a record that its owner can't change anymore: what happens
// instead is do.
type endsBeforeSwap struct {
	partition.Records
	do func()
}

// Swap implements partition.Records.
func (e endsBeforeSwap) Swap(context.Context, talos.PartitionRecord, talos.PartitionRecord) error {
	e.do()
	return &talos.Error{Kind: talos.NotOwner, Op: "swap"}
}
