package namenode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/rpc"
)

const (
	// protocol is the Java interface that NameNodes offer to clients.
	protocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
	// totalTime bounds a call with all its repetitions.
	totalTime = 20 * time.Second
	// safeModeTime bounds the repetitions for a NameNode that is starting: it may
	// take minutes, and the caller should be told why it waits.
	safeModeTime = 5 * time.Second
	// pauseFirst and pauseMost are the pauses between repetitions, of which a
	// random part is waited.
	pauseFirst = 50 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// errOutOfTime ends the last attempt of a call.
var errOutOfTime = errors.New("out of time")

// Config says where the NameNodes are.
type Config struct {
	// Addresses are host:port of each NameNode: one, or those of which one at a
	// time is active.
	Addresses []string
	// User is whom the cluster believes to be calling.
	User string
	// Timeout bounds one attempt of a call. Zero: rpc.DefaultTimeout.
	Timeout time.Duration
	// Dial connects. Nil: TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Logger hears of calls that take long. Nil: nobody does.
	Logger *slog.Logger
}

// Client calls the NameNodes of one HDFS. All methods may be called
// concurrently, and block until the answer, the end of their context, or for
// 20 s. They return the kinds of errors.go.
type Client struct {
	servers   []*rpc.Client
	addresses []string
	log       *slog.Logger
	ids       atomic.Int32
	place     atomic.Uint64 // a place
	// said is when it was logged last that a call waits, in nanoseconds since 1970.
	said atomic.Int64
}

// place is the NameNode that calls go to first, and how often it has changed: when a
// call that was begun there had its answer from another one, or only after a
// connection to it had broken. Two equal places mean that all answers in between are
// of one NameNode.
type place uint64

// placeServers is more than the NameNodes of any HDFS.
const placeServers = 1 << 16

func (p place) server() int { return int(p % placeServers) }

// moved is the place after a change.
func (p place) moved(server int) place { return p - p%placeServers + placeServers + place(server) }

// New returns a client, without connecting. The caller must Close it.
func New(c Config) *Client {
	client := &Client{addresses: c.Addresses, log: c.Logger}
	if client.log == nil {
		client.log = slog.New(slog.DiscardHandler)
	}
	id := rpc.NewClientID()
	for _, address := range c.Addresses {
		client.servers = append(client.servers, rpc.New(rpc.Config{
			Address: address, Protocol: protocol, User: c.User, ClientID: id, Timeout: c.Timeout, Dial: c.Dial,
		}))
	}
	return client
}

// Close closes the connections. Calls in flight fail.
func (c *Client) Close() error {
	for _, server := range c.servers {
		server.Close()
	}
	return nil
}

// Turns is a number that changes when another NameNode answers than before, or the
// same one after it could not be reached. That one may have forgotten what it was
// asked to do later: it is not in the edits.
func (c *Client) Turns() uint64 { return c.place.Load() }

// verdict says what is done about the outcome of one attempt.
type verdict int

const (
	final verdict = iota
	again         // at the same address
	elsewhere
)

func judge(err error) verdict {
	var remote *rpc.RemoteError
	switch {
	case err == nil, errors.Is(err, rpc.ErrKerberos), errors.Is(err, rpc.ErrProtocol), errors.Is(err, rpc.ErrClosed):
		return final
	case errors.Is(err, rpc.ErrNotSent), errors.Is(err, rpc.ErrLost), errors.Is(err, rpc.ErrTimeout):
		return elsewhere
	case !errors.As(err, &remote):
		return final
	}
	switch remote.ShortClass() {
	case "StandbyException", "ObserverRetryOnActiveException":
		return elsewhere
	case "RetriableException":
		if strings.Contains(remote.Line(), notStarted) {
			return elsewhere
		}
		return again
	}
	return final
}

// notStarted is what a NameNode says that does not know yet whether it is to be
// active.
const notStarted = "still not started"

// call makes one call, with all its repetitions. An answer moves the client to the
// NameNode that gave it only if nobody else has moved it meanwhile: one that was
// active before may answer late.
func (c *Client) call(ctx context.Context, method string, req, resp proto.Message) error {
	if len(c.servers) == 0 {
		return errors.New("no NameNode is configured")
	}
	limited, cancel := context.WithTimeoutCause(ctx, totalTime, errOutOfTime)
	defer cancel()
	w := c.wait(method)
	defer w.over()
	from := place(c.place.Load())
	at := from.server()
	one := rpc.Call{Method: method, ID: rpc.NextID(&c.ids)}
	var last error
	broke := false
	for ; ; one.Retry++ {
		err := c.servers[at].Call(limited, one, req, resp)
		verdict := judge(err)
		if limited.Err() != nil && (verdict != final || errors.Is(err, context.Cause(limited))) {
			return gaveUp(ctx, last, err)
		}
		if verdict == final {
			if at != from.server() || broke {
				c.place.CompareAndSwap(uint64(from), uint64(from.moved(at)))
			}
			return explain(err)
		}
		last = err
		w.failed(err)
		broke = broke || errors.Is(err, rpc.ErrLost) || errors.Is(err, rpc.ErrNotSent)
		if errors.Is(explain(err), ErrSafeMode) && time.Since(w.begun) > safeModeTime {
			return explain(err)
		}
		if verdict == elsewhere {
			at = (at + 1) % len(c.servers)
		}
		if !c.pause(limited, verdict, int(one.Retry)) {
			return gaveUp(ctx, last, err)
		}
	}
}

// pause waits before the call is sent again; it does not while there are
// addresses that were not asked. It returns false if the time is up.
func (c *Client) pause(ctx context.Context, v verdict, retry int) bool {
	rounds := retry / len(c.servers)
	if v == elsewhere && (retry+1)%len(c.servers) != 0 {
		return true
	}
	most := min(pauseMost, pauseFirst<<min(rounds, 10))
	select {
	case <-time.After(most/2 + rand.N(most/2)):
		return true
	case <-ctx.Done():
		return false
	}
}

// gaveUp says why a call was not repeated anymore: its context has ended, or the
// total time. What went wrong before says more than how the last attempt ended.
func gaveUp(ctx context.Context, last, err error) error {
	if last == nil {
		last = err
	}
	last = explain(last)
	switch {
	case ctx.Err() == nil:
		return fmt.Errorf("%w for %v: %w", ErrUnavailable, totalTime, last)
	case errors.Is(last, context.Cause(ctx)):
		return last
	}
	return fmt.Errorf("%w, before that: %w", context.Cause(ctx), last)
}
