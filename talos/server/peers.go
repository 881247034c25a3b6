package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
)

const (
	// peerTimeout bounds one question to another node, which may wait for partitions
	// to open itself.
	peerTimeout = listWait + 2*time.Second
	// maxPeerCalls bounds the questions of one round that are under way.
	maxPeerCalls = 8
)

// peers are the connections to other nodes. Nodes ask each other for metrics only:
// what is acknowledged depends on none of it. A partition whose range is asked for is
// opened, here as on other nodes, if nobody has used it since its owner has it.
type peers struct {
	term *term

	mu     sync.Mutex // guards the fields below
	closed bool
	// all are by address; those of nodes that are no members are closed when there
	// is a new one.
	all map[string]*grpc.ClientConn
}

func newPeers(t *term) *peers { return &peers{term: t, all: make(map[string]*grpc.ClientConn)} }

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, conn := range p.all {
		_ = conn.Close() // nothing is under way
	}
}

func (p *peers) to(address string) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if conn, ok := p.all[address]; ok {
		return conn, nil
	}
	options := p.term.node.cfg.Peers
	if p.closed || len(options) == 0 {
		return nil, errors.New("the node asks no other nodes now")
	}
	members := make(map[string]bool)
	for _, m := range p.term.view.Members() {
		members[m.Address] = true
	}
	for old, conn := range p.all {
		if !members[old] {
			_ = conn.Close()
			delete(p.all, old)
		}
	}
	// A node that is back is asked again with the next round but one.
	pace := grpcbackoff.DefaultConfig
	pace.MaxDelay = lagInterval
	options = append(slices.Clone(options), grpc.WithConnectParams(grpc.ConnectParams{Backoff: pace, MinConnectTimeout: peerTimeout}))
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return nil, err
	}
	p.all[address] = conn
	return conn, nil
}

// ranges returns what can be read of partitions, wherever they are. Those that can't
// be learned are not in it; the error is one of the reasons. It takes peerTimeout for
// each maxPeerCalls questions at the most, of MaxRequestPartitions partitions each.
func (p *peers) ranges(ctx context.Context, ids []talos.PartitionID) (map[talos.PartitionID]talos.OffsetRange, error) {
	all := make(map[talos.PartitionID]talos.OffsetRange, len(ids))
	elsewhere := make(map[string][]*talosv1.ListOffsetsPartition)
	for _, id := range ids {
		owner := p.term.view.Owner(id)
		switch {
		case owner.Owner == p.term.node.cfg.NodeID:
			if found := p.term.partitions.find(id); found.err == nil {
				all[id] = found.log.Range()
			}
		case owner.Member != nil:
			at := owner.Member.Address
			elsewhere[at] = append(elsewhere[at], &talosv1.ListOffsetsPartition{TopicId: id.Topic[:], Partition: id.Number})
		}
	}
	var mu sync.Mutex // guards all
	var asking errgroup.Group
	asking.SetLimit(maxPeerCalls)
	for address, wanted := range elsewhere {
		for len(wanted) > 0 {
			n := min(len(wanted), talos.MaxRequestPartitions)
			part := wanted[:n]
			wanted = wanted[n:]
			asking.Go(func() error {
				listed, err := p.list(ctx, address, part)
				mu.Lock()
				defer mu.Unlock()
				for i, l := range listed {
					id := talos.PartitionID{Topic: talos.TopicID(part[i].GetTopicId()), Number: part[i].GetPartition()}
					if l.GetError() == nil && l.GetRange() != nil {
						all[id] = talos.OffsetRange{Start: talos.Offset(l.GetRange().GetStart()), End: talos.Offset(l.GetRange().GetEnd())}
					}
				}
				return err
			})
		}
	}
	err := asking.Wait()
	return all, err
}

func (p *peers) list(ctx context.Context, address string, part []*talosv1.ListOffsetsPartition) ([]*talosv1.ListedOffsets, error) {
	conn, err := p.to(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	response, err := talosv1.NewLogClient(conn).ListOffsets(ctx, &talosv1.ListOffsetsRequest{Partitions: part})
	if err != nil {
		return nil, fmt.Errorf("node at %s: %w", address, err)
	}
	if n := len(response.GetPartitions()); n != len(part) {
		return nil, fmt.Errorf("node at %s answered for %d partitions of %d", address, n, len(part))
	}
	return response.GetPartitions(), nil
}
