package server

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/talos-log/talos/partition"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
)

// defaultFetchBytes is the limit of an answer whose request states none.
const defaultFetchBytes = 1 << 20

// fetch is one call of Fetch: rounds of reading what is there, and waits until
// something changes in between. One goroutine uses it.
type fetch struct {
	node *Node
	term *term
	// parts are in the order of the request, and read in that order.
	parts []*fetchPart
	// The answer is complete with minBytes, and no read begins at maxBytes.
	minBytes, maxBytes int
	// bytes is the sum over parts.
	bytes  int
	memory *reservation
	// worked is the time that rounds took.
	worked time.Duration
}

// fetchPart is one partition of a fetch.
type fetchPart struct {
	request *talosv1.FetchPartition
	id      talos.PartitionID
	// next is the offset behind what was read.
	next    talos.Offset
	batches []byte
	log     *partition.Log
	// changed is closed when it makes sense to look again; nil if it never does.
	changed <-chan struct{}
	// notYet is the error of a partition that is still being opened when time is up.
	notYet error
	err    error
}

func newFetch(node *Node, t *term, memory *reservation, request *talosv1.FetchRequest) (*fetch, error) {
	const op = "server.Fetch"
	if err := checkPartitionCount(len(request.GetPartitions())); err != nil {
		return nil, err
	}
	if request.GetMaxBytes() < 0 || request.GetMinBytes() < 0 || request.GetMaxWaitMs() < 0 {
		return nil, invalidRequest(op, "a limit is negative: max_bytes %d, min_bytes %d, max_wait_ms %d",
			request.GetMaxBytes(), request.GetMinBytes(), request.GetMaxWaitMs())
	}
	f := &fetch{
		node: node, term: t, maxBytes: defaultFetchBytes, minBytes: max(1, int(request.GetMinBytes())),
		memory: memory,
	}
	if n := int(request.GetMaxBytes()); n > 0 {
		f.maxBytes = n
	}
	f.maxBytes = min(f.maxBytes, talos.MaxFetchBytes-fetchOverhead*len(request.GetPartitions()))
	f.minBytes = min(f.minBytes, f.maxBytes)
	for _, p := range request.GetPartitions() {
		part := &fetchPart{request: p, next: talos.Offset(p.GetOffset())}
		var topic talos.TopicID
		topic, part.err = topicID(p.GetTopicId())
		if part.err == nil && p.GetMaxBytes() < 0 {
			part.err = invalidRequest(op, "max_bytes is %d", p.GetMaxBytes())
		}
		part.id = talos.PartitionID{Topic: topic, Number: p.GetPartition()}
		f.parts = append(f.parts, part)
	}
	return f, nil
}

// run reads until there is enough, something is wrong with a partition, or time
// is up.
func (f *fetch) run(ctx context.Context, deadline <-chan time.Time) error {
	for {
		begun := time.Now()
		err := f.round(ctx)
		f.worked += time.Since(begun)
		if err != nil {
			return err
		}
		if f.complete() {
			return nil
		}
		f.memory.shrink(f.bytes)
		again, err := f.wait(ctx, deadline)
		if err != nil || !again {
			return err
		}
	}
}

// complete tells whether waiting is of no use.
func (f *fetch) complete() bool {
	waits := false
	for _, p := range f.parts {
		if p.err != nil {
			return true
		}
		waits = waits || p.changed != nil
	}
	return f.bytes >= f.minBytes || !waits
}

// round looks at all partitions once.
func (f *fetch) round(ctx context.Context) error {
	for _, p := range f.parts {
		if p.err == nil {
			f.look(p)
		}
	}
	for _, p := range f.parts {
		if p.err != nil || p.log == nil || p.next == p.log.Range().End {
			continue
		}
		// One batch more than was asked for may come.
		need := f.maxBytes + f.node.cfg.Limits.BatchBytes()
		if f.bytes > 0 && !f.memory.tryGrow(need) {
			// What is there has to do: see tryGrow.
			f.minBytes = 0
			return nil
		}
		if err := f.memory.grow(ctx, need); err != nil {
			return err
		}
		p.err = f.read(ctx, p)
	}
	return nil
}

// look finds the partition's log, and takes what tells of the next change before
// anything is read.
func (f *fetch) look(p *fetchPart) {
	found := f.term.partitions.find(p.id)
	p.log, p.changed, p.notYet = found.log, found.opening, nil
	switch {
	case found.opening != nil:
		p.notYet = found.err
	case found.err != nil:
		p.err = found.err
	default:
		p.changed = p.log.Changed()
		p.err = checkEpoch(p.log, p.request.GetEpoch())
	}
}

// read adds what is there to the partition's batches, as far as the limits go.
func (f *fetch) read(ctx context.Context, p *fetchPart) error {
	for {
		want := f.maxBytes - f.bytes
		if limit := int(p.request.GetMaxBytes()); limit > 0 {
			want = min(want, limit-len(p.batches))
		}
		if want <= 0 {
			// It is full: changes of it don't matter anymore.
			p.changed = nil
			return nil
		}
		b, err := p.log.Read(ctx, p.next, want)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return nil
		}
		if p.next, err = nextOffset(b); err != nil {
			return err
		}
		if p.batches == nil {
			// It may be memory that others read too: clipped, adding to it copies.
			p.batches = slices.Clip(b)
		} else {
			p.batches = append(p.batches, b...)
		}
		f.bytes += len(b)
		if f.bytes >= f.minBytes || p.next >= p.log.Range().End {
			return nil
		}
	}
}

// nextOffset is the offset behind the last of the batches.
func nextOffset(batches []byte) (next talos.Offset, err error) {
	for b, err := range batch.All(batches) {
		if err != nil {
			return 0, &talos.Error{Kind: talos.Internal, Op: "server.Fetch", Detail: "a log returned what is not whole batches", Cause: err}
		}
		next = b.Next()
	}
	return next, nil
}

// wait waits for a change of any partition: then it returns true, and false when
// time is up.
func (f *fetch) wait(ctx context.Context, deadline <-chan time.Time) (bool, error) {
	select {
	case f.node.longPolls <- struct{}{}:
		defer func() { <-f.node.longPolls }()
	default:
		return false, overloaded("%d fetches wait on this node already (limits.long_polls)", cap(f.node.longPolls))
	}
	f.node.metrics.longPolls.Inc()
	defer f.node.metrics.longPolls.Dec()
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(deadline)},
	}
	for _, p := range f.parts {
		if p.changed != nil {
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(p.changed)})
		}
	}
	switch chosen, _, _ := reflect.Select(cases); chosen {
	case 0:
		return false, ctx.Err()
	case 1:
		return false, nil
	default:
		return true, nil
	}
}

// response makes the answer of what was read.
func (f *fetch) response(request string) *talosv1.FetchResponse {
	response := &talosv1.FetchResponse{Partitions: make([]*talosv1.FetchedPartition, 0, len(f.parts))}
	for _, p := range f.parts {
		if p.err == nil {
			p.err = p.notYet
		}
		fetched := &talosv1.FetchedPartition{
			TopicId: p.request.GetTopicId(), Partition: p.request.GetPartition(), Batches: p.batches,
		}
		if p.log != nil {
			fetched.Range, fetched.Epoch = toRange(p.log.Range()), int32(p.log.Epoch())
		}
		if p.err != nil {
			f.node.failed(talosv1.Log_Fetch_FullMethodName, request, p.err)
			fetched.Error = toProto(request, p.err)
		}
		response.Partitions = append(response.Partitions, fetched)
	}
	f.node.metrics.fetchedBytes.Add(float64(f.bytes))
	f.node.metrics.fetchSeconds.Observe(f.worked.Seconds())
	return response
}
