package server

import (
	"context"
	"strings"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/metadata"
)

// ownServices is what the names of the methods begin with that have a protocol;
// health and reflection have their own.
const ownServices = "/talos."

// admitClient refuses a client that speaks no protocol of ours. Version is
// answered all the same, so that the client can find out.
func (n *Node) admitClient(ctx context.Context, method string) error {
	if !strings.HasPrefix(method, ownServices) || method == talosv1.Admin_Version_FullMethodName {
		return nil
	}
	client := talos.FirstProtocol
	if stated := metadata.ValueFromIncomingContext(ctx, talos.ProtocolHeader); len(stated) > 0 {
		var err error
		if client, err = talos.ParseProtocols(stated[0]); err != nil {
			return invalidRequest("server.admitClient", "header %s: %v", talos.ProtocolHeader, err)
		}
	}
	return talos.CheckProtocols(client, n.cfg.Protocols, n.cfg.NodeID+" ("+n.cfg.Version+")")
}
