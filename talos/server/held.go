package server

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/talos-log/talos/internal/codec"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// An answer takes memory until gRPC has written it, which is long after the
// handler returned if the client does not read: gRPC queues it. So the memory
// that a call reserved goes with its answer:
//
//	reservation (handler) ──► heldAnswer (interceptor) ──► lease (codec) ──► freed by
//	the transport, or the connection ends; AnswerTimeout ends the connection

// reservation is a call's share of the memory for answers, the connection's and
// the node's. One goroutine uses it.
type reservation struct {
	node, connection *semaphore.Weighted
	size             int
	// held shows the sum over all calls.
	held *atomic.Int64
}

// grow waits, up to maxMemoryWait, until the reservation has at least the size;
// Overloaded if it can't.
func (r *reservation) grow(ctx context.Context, size int) error {
	more := int64(size - r.size)
	if more <= 0 || r.tryGrow(size) {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, maxMemoryWait)
	defer cancel()
	// The client's own share first: who waits for it takes nothing from others.
	err := r.connection.Acquire(wait, more)
	if err == nil {
		if err = r.node.Acquire(wait, more); err != nil {
			r.connection.Release(more)
		}
	}
	switch {
	case err == nil:
		r.held.Add(more)
		r.size = size
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return overloaded("no memory for the answer (limits.answer_bytes, limits.connection_answer_bytes); are earlier answers being read?")
	}
}

// tryGrow is grow without waiting. Who has reserved something already must not
// wait for more: others may do so as well, and nobody would end.
func (r *reservation) tryGrow(size int) bool {
	more := int64(size - r.size)
	if more <= 0 {
		return true
	}
	if !r.connection.TryAcquire(more) {
		return false
	}
	if !r.node.TryAcquire(more) {
		r.connection.Release(more)
		return false
	}
	r.held.Add(more)
	r.size = size
	return true
}

// shrink gives back what is more than the size.
func (r *reservation) shrink(size int) {
	if size >= r.size {
		return
	}
	r.node.Release(int64(r.size - size))
	r.connection.Release(int64(r.size - size))
	r.held.Add(int64(size - r.size))
	r.size = size
}

func (r *reservation) release() { r.shrink(0) }

// lease is memory that belongs to an answer on its way. It ends once.
type lease struct {
	memory     *reservation
	connection *connection
	stalled    *time.Timer
	once       sync.Once
}

// end gives the memory back.
func (l *lease) end() {
	l.once.Do(func() {
		l.stalled.Stop()
		l.memory.release()
	})
}

// leased makes a lease the pool of its answer's buffers, so that the transport's last
// use of them ends it.
type leased struct {
	*lease
	// left are the buffers that are still used.
	left atomic.Int32
	// pooled tells that they are those of codec.Pool.
	pooled bool
}

// Get implements mem.BufferPool; nothing calls it.
func (l *leased) Get(length int) *[]byte { return codec.Pool().Get(length) }

// Put implements mem.BufferPool.
func (l *leased) Put(buffer *[]byte) {
	if l.left.Add(-1) == 0 {
		l.connection.remove(l.lease)
		l.end()
	}
	if l.pooled {
		codec.Pool().Put(buffer)
	}
}

// heldAnswer is an answer and the memory reserved for it.
type heldAnswer struct {
	message proto.Message
	memory  *reservation
	node    *Node
	conn    *connection
}

// hold ties the memory to the answer of a call that went well.
func (n *Node) hold(ctx context.Context, c *call, answer any) (any, error) {
	message, ok := answer.(proto.Message)
	conn, known := connectionOf(ctx)
	if !ok || !known {
		c.memory.release()
		return answer, nil
	}
	size := proto.Size(message)
	if err := c.memory.grow(ctx, size); err != nil {
		c.memory.release()
		return nil, err
	}
	c.memory.shrink(size)
	if ctx.Err() != nil {
		// The client is gone, and the answer with it.
		c.memory.release()
		return nil, ctx.Err()
	}
	// Compressed, it would be a copy that nobody has reserved memory for.
	if err := grpc.SetSendCompressor(ctx, encoding.Identity); err != nil {
		c.memory.release()
		return nil, err
	}
	return &heldAnswer{message: message, memory: c.memory, node: n, conn: conn}, nil
}

// answerCodec is the codec of all messages, but for held answers.
type answerCodec struct{ codec.Codec }

// minPooled is the least buffer whose end gRPC tells its pool of.
const minPooled = 1<<10 + 1

// Marshal implements encoding.CodecV2.
func (c answerCodec) Marshal(v any) (mem.BufferSlice, error) {
	held, ok := v.(*heldAnswer)
	if !ok {
		return c.Codec.Marshal(v)
	}
	buffers, pooled, err := held.buffers()
	if err != nil {
		held.memory.release()
		return nil, &talos.Error{Kind: talos.Internal, Op: "server.Marshal", Cause: err}
	}
	l := &leased{lease: &lease{memory: held.memory, connection: held.conn}, pooled: pooled}
	l.stalled = time.AfterFunc(held.node.cfg.Capacity.AnswerTimeout, func() {
		held.node.hangUp(held.conn, "an answer was not read in time")
	})
	if !held.conn.add(l.lease) {
		l.end()
	}
	for i := range buffers {
		if cap(buffers[i]) >= minPooled {
			l.left.Add(1)
		}
	}
	answer := make(mem.BufferSlice, len(buffers))
	for i := range buffers {
		answer[i] = mem.NewBuffer(&buffers[i], l)
	}
	return answer, nil
}

// buffers are the answer on the wire. One of them at least is so large that gRPC tells
// of its end. pooled tells that they are from codec.Pool.
func (h *heldAnswer) buffers() (all [][]byte, pooled bool, err error) {
	if response, ok := h.message.(*talosv1.FetchResponse); ok {
		parts, err := codec.Parts(response)
		large := slices.ContainsFunc(parts, func(p []byte) bool { return cap(p) >= minPooled })
		if err != nil || large {
			return parts, false, err
		}
	}
	buffer := codec.Pool().Get(max(proto.Size(h.message), minPooled))
	written, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buffer)[:0], h.message)
	return [][]byte{written}, true, err
}
