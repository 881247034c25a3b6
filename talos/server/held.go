package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

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

// Get and Put make a lease the pool of its answer's buffer, so that the
// transport's last use of it ends the lease.

// Get implements mem.BufferPool; nothing calls it.
func (l *lease) Get(length int) *[]byte { return mem.DefaultBufferPool().Get(length) }

// Put implements mem.BufferPool.
func (l *lease) Put(buffer *[]byte) {
	l.connection.remove(l)
	l.end()
	mem.DefaultBufferPool().Put(buffer)
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

// answerCodec is gRPC's codec for protobuf, but for held answers.
type answerCodec struct{ encoding.CodecV2 }

// minPooled is the least buffer whose end gRPC tells its pool of.
const minPooled = 1<<10 + 1

// Marshal implements encoding.CodecV2.
func (c answerCodec) Marshal(v any) (mem.BufferSlice, error) {
	held, ok := v.(*heldAnswer)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	buffer := mem.DefaultBufferPool().Get(max(proto.Size(held.message), minPooled))
	written, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*buffer)[:0], held.message)
	if err != nil {
		held.memory.release()
		return nil, &talos.Error{Kind: talos.Internal, Op: "server.Marshal", Cause: err}
	}
	*buffer = written
	l := &lease{memory: held.memory, connection: held.conn}
	l.stalled = time.AfterFunc(held.node.cfg.Capacity.AnswerTimeout, func() {
		held.node.hangUp(held.conn, "an answer was not read in time")
	})
	if !held.conn.add(l) {
		l.end()
	}
	return mem.BufferSlice{mem.NewBuffer(buffer, l)}, nil
}
