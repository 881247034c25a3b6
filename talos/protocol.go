package talos

import (
	"fmt"
	"strconv"
	"strings"
)

// ProtocolHeader is the gRPC header in which a client states its Protocols, in
// their text form, with every call. Without it a client counts as FirstProtocol.
const ProtocolHeader = "talos-protocol"

// Protocols are the protocol numbers that a program speaks, Oldest to Newest. A
// number is raised when a peer of the number before would misunderstand
// something; what such a peer merely does not know is no reason. The rule stands
// in docs/compatibility.md.
type Protocols struct{ Oldest, Newest int32 }

var (
	// FirstProtocol is what a peer speaks that does not say.
	FirstProtocol = Protocols{Oldest: 1, Newest: 1}
	// OwnProtocols is what this release speaks. Oldest is at most Newest - 1 as
	// soon as there is a second number.
	OwnProtocols = Protocols{Oldest: 1, Newest: 1}
)

// Valid tells whether it is a range of numbers, all positive.
func (p Protocols) Valid() bool { return 1 <= p.Oldest && p.Oldest <= p.Newest }

// Meet tells whether both speak a number.
func (p Protocols) Meet(other Protocols) bool {
	return p.Oldest <= other.Newest && other.Oldest <= p.Newest
}

// Describe says it in words.
func (p Protocols) Describe() string {
	if p.Oldest == p.Newest {
		return fmt.Sprintf("protocol %d", p.Newest)
	}
	return fmt.Sprintf("protocols %d to %d", p.Oldest, p.Newest)
}

// String returns the text form, "1-2".
func (p Protocols) String() string { return fmt.Sprintf("%d-%d", p.Oldest, p.Newest) }

// ParseProtocols is the inverse of String.
func ParseProtocols(s string) (Protocols, error) {
	first, last, ok := strings.Cut(s, "-")
	oldest, err1 := strconv.ParseInt(first, 10, 32)
	newest, err2 := strconv.ParseInt(last, 10, 32)
	p := Protocols{Oldest: int32(oldest), Newest: int32(newest)}
	if !ok || err1 != nil || err2 != nil || !p.Valid() || p.String() != s {
		return Protocols{}, fmt.Errorf("%q are no protocols, want OLDEST-NEWEST", s)
	}
	return p, nil
}

// CheckProtocols returns an error of kind Incompatible, which says who must be
// updated, if a client and a node speak no number in common; nodeName names the
// node in it.
func CheckProtocols(client, node Protocols, nodeName string) error {
	if client.Meet(node) {
		return nil
	}
	older := "client"
	if node.Newest < client.Oldest {
		older = "node"
	}
	return &Error{
		Kind: Incompatible, Op: "talos.CheckProtocols",
		Detail: fmt.Sprintf("the client speaks %s, the node %s speaks %s: update the %s",
			client.Describe(), nodeName, node.Describe(), older),
	}
}
