package hadoop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// askInterval is how often a daemon is asked whether it serves.
	askInterval = 50 * time.Millisecond
	// fresh is how old the last heartbeat of a DataNode that lives may be, in
	// seconds; there is one each second.
	fresh = 2
)

// restore makes every daemon run, and waits until they know of each other.
func (c *Cluster) restore(ctx context.Context) error {
	// A DataNode that finds no NameNode waits for five seconds.
	if err := c.wakeAll(ctx, c.journals); err != nil {
		return err
	}
	if err := c.wakeAll(ctx, c.nameNodes()); err != nil {
		return err
	}
	if c.cfg.Pair {
		if err := c.settle(ctx); err != nil {
			return err
		}
	}
	for _, d := range c.data {
		if err := c.wake(d); err != nil {
			return err
		}
	}
	return c.await(ctx, c.whole, c.daemons()...)
}

// wake makes a daemon run, whatever it does now.
func (c *Cluster) wake(d *Daemon) error {
	if d.Running() {
		return d.run.Resume()
	}
	return d.launch()
}

// wakeAll makes daemons run, and waits until they do.
func (c *Cluster) wakeAll(ctx context.Context, all []*Daemon) error {
	ran := map[*Daemon]bool{}
	for _, d := range all {
		ran[d] = d.Running()
		if err := c.wake(d); err != nil {
			return err
		}
	}
	for _, d := range all {
		err := d.await(ctx)
		if err != nil && ran[d] && !d.Running() {
			// A former active NameNode ends when it comes to know that it is that.
			err = c.wakeAll(ctx, []*Daemon{d})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// await polls until check has no error, or one of the daemons has ended.
func (c *Cluster) await(ctx context.Context, check func(context.Context) error, needed ...*Daemon) error {
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		for _, d := range needed {
			if !d.Running() {
				return fmt.Errorf("%s has ended: %w", d, err)
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// awaitListening waits until a daemon takes connections.
func (c *Cluster) awaitListening(ctx context.Context, d *Daemon) error {
	var dialer net.Dialer
	return c.await(ctx, func(ctx context.Context) error {
		conn, err := dialer.DialContext(ctx, "tcp", d.address)
		if err != nil {
			return err
		}
		return conn.Close()
	}, d)
}

// awaitDataNode waits until it has told the NameNode of itself; if that does not
// answer, until it could be asked.
func (c *Cluster) awaitDataNode(ctx context.Context, d *Daemon) error {
	return c.await(ctx, func(ctx context.Context) error {
		if !c.name.Running() || c.name.run.StandsStill() {
			return d.bean(ctx, dataNodeBean, &dataNodeInfo{})
		}
		return d.connected(ctx)
	}, d)
}

const (
	nameNodeBean   = "Hadoop:service=NameNode,name=NameNodeInfo"
	nameSystemBean = "Hadoop:service=NameNode,name=FSNamesystemState"
	dataNodeBean   = "Hadoop:service=DataNode,name=DataNodeInfo"
)

// whole is an error unless every DataNode and the NameNode (of a pair, both) are in
// touch, the NameNode knows all blocks, and is out of safe mode. Both sides are asked: the
// NameNode believes in a dead DataNode for ten minutes, and a DataNode that was
// started again would be mistaken for its predecessor.
func (c *Cluster) whole(ctx context.Context) error {
	var info nameNodeInfo
	if err := c.name.bean(ctx, nameNodeBean, &info); err != nil {
		return err
	}
	if info.Safemode != "" {
		return fmt.Errorf("%s: %s", c.name, info.Safemode)
	}
	for _, d := range c.data {
		if err := info.hears(d); err != nil {
			return err
		}
		if err := d.connected(ctx); err != nil {
			return err
		}
	}
	if c.cfg.Pair {
		if err := c.standbyHears(ctx); err != nil {
			return err
		}
	}
	// Asked last: what has sent no heartbeat has no storages yet.
	var system nameSystem
	if err := c.name.bean(ctx, nameSystemBean, &system); err != nil {
		return err
	}
	if system.NumStaleStorages > 0 {
		return fmt.Errorf("%s waits for %d block reports", c.name, system.NumStaleStorages)
	}
	return nil
}

// Hears says whether the NameNode has had a heartbeat of a DataNode in the last
// two seconds.
func (c *Cluster) Hears(t testing.TB, d *Daemon) bool {
	t.Helper()
	var info nameNodeInfo
	require.NoError(t, c.name.bean(t.Context(), nameNodeBean, &info))
	return info.hears(d) == nil
}

// hears is an error unless the DataNode's heartbeats arrive.
func (i nameNodeInfo) hears(d *Daemon) error {
	for _, k := range i.LiveNodes.value {
		if k.Address == d.address && k.LastContact <= fresh && k.Capacity > 0 {
			return nil
		}
	}
	return fmt.Errorf("the NameNode does not hear of %s", d)
}

// blocksReported is what a DataNode writes after the NameNode took its report; its
// counters tell ten seconds later.
const blocksReported = "Successfully sent block report"

// connected is an error unless this process of a DataNode has reported its blocks,
// and the NameNode answers it.
func (d *Daemon) connected(ctx context.Context) error {
	reported, err := d.hasLogged(blocksReported)
	if err != nil {
		return err
	}
	var info dataNodeInfo
	if err := d.bean(ctx, dataNodeBean, &info); err != nil {
		return err
	}
	for _, actor := range info.BPServiceActorInfo.value {
		if reported && actor.ActorState == "RUNNING" && actor.LastHeartbeatResponseTime <= fresh {
			return nil
		}
	}
	return fmt.Errorf("the NameNode has not answered %s yet", d)
}
