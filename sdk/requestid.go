package sdk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"

	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/metadata"
)

// stated is what a client says with each call to a peer: the protocols that it
// speaks, and a name of the call that no other call has.
type stated struct {
	protocols string
	// prefix is of this connection, calls counts its calls and streams.
	prefix string
	calls  atomic.Uint64
}

func newStated(p talos.Protocols) *stated {
	var random [6]byte
	rand.Read(random[:]) // never fails
	return &stated{protocols: p.String(), prefix: hex.EncodeToString(random[:]) + "-"}
}

func (s *stated) in(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, talos.ProtocolHeader, s.protocols,
		talos.RequestHeader, s.prefix+strconv.FormatUint(s.calls.Add(1), 10))
}
