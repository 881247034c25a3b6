package sdk

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talos-log/talos/talos"
)

// Group is a member of a consumer group: the members of a group share the
// partitions of their topics, each is read by one of them, and what they have
// processed is committed with the group's coordinator, a node. It is for one
// goroutine; only Close and Assigned may be called by others.
//
//	           heartbeats (one goroutine)            Poll (the application's)
//	coordinator ◄──── what is read ──────────────── owned ◄── take, give up
//	            ────► what may be read ──► assigned ──────────►   │
//	            ◄──── commits (one at a time) ◄── processed ◄─────┘
//
// A partition that goes to another member is given up by a Poll: it commits what
// is processed of it, and then says that it is free. Partitions that stay are read
// on meanwhile. A record may be returned twice, to this member or another one, if it
// was not committed; none is left out.
type Group struct {
	client *Client
	name   string
	cfg    groupConfig
	limits talos.Limits

	// polls is held by a Poll, and by Close, which waits for one.
	polls sync.Mutex
	// The Poll side's own: readers by topic, which share arrivals.
	readers  map[talos.TopicID]*Consumer
	arrivals chan func() error
	pending  []Message // what Records has taken and not yielded
	offsets  *groupOffsets
	begun    bool
	failures int // of reconcile, in a row

	member *membership

	ctx     context.Context // ends with Close, and with the client
	end     context.CancelFunc
	running sync.WaitGroup
	closing sync.Once
}

// NewGroup returns a member of a group that reads these topics, which need not exist
// yet. It joins with the first Poll. InvalidConfig; Unavailable if no node can be
// reached. The group's name is 1 to 249 letters, digits, '.', '_' and '-'.
func (c *Client) NewGroup(ctx context.Context, group string, topics []talos.TopicName, opts ...GroupOpt) (*Group, error) {
	cfg, err := newGroupConfig(topics, opts)
	if err != nil {
		return nil, err
	}
	g := &Group{
		client: c, name: group, cfg: cfg, readers: make(map[talos.TopicID]*Consumer), arrivals: make(chan func() error),
	}
	err = patiently(ctx, "sdk.NewGroup", group, func() error {
		node, err := c.ServerVersion(ctx)
		g.limits = talos.Limits{RecordBytes: node.MaxRecordBytes}
		return err
	})
	if err != nil {
		return nil, err
	}
	g.ctx, g.end = context.WithCancel(c.ctx)
	coordinator := &coordinatorLink{client: c, group: group}
	g.member = newMembership(cfg, group, coordinator)
	g.offsets = newGroupOffsets(cfg, g.member, coordinator)
	return g, nil
}

// Assigned are the partitions that are read now, sorted by topic and number.
func (g *Group) Assigned() []GroupPartition { return g.member.ownedNow() }

// Poll waits for records and returns at least one; those of a partition come in
// order. It joins the group, takes and gives up partitions, and calls the hooks for
// that. Without GroupManualCommit it says that all is processed that earlier calls
// returned.
//
// What passes by itself it tries again until ctx ends. Its error is that of ctx,
// Closed, a *BatchError or *PartitionError as of a Consumer, one of a hook, or why
// the group can't be joined: InvalidGroupName, GroupFull, FencedInstance,
// Unauthenticated, ....
func (g *Group) Poll(ctx context.Context) ([]Message, error) {
	messages, err := g.poll(ctx)
	g.offsets.handOut(g.placed(messages))
	return messages, err
}

// poll is Poll, but for the note of what the application was given.
func (g *Group) poll(ctx context.Context) ([]Message, error) {
	g.polls.Lock()
	defer g.polls.Unlock()
	if g.ctx.Err() != nil {
		return nil, closedError("sdk.Poll")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	g.begin()
	defer g.member.polled()
	g.offsets.processed()
	for {
		messages, err := g.pollOnce(ctx)
		if len(messages) > 0 || err != nil {
			return messages, err
		}
	}
}

// begin starts what runs beside the application, with the first Poll.
func (g *Group) begin() {
	g.member.polling()
	if g.begun {
		return
	}
	g.begun = true
	g.running.Go(func() { g.member.run(g.ctx) })
	g.running.Go(func() { g.offsets.run(g.ctx) })
}

// pollOnce takes what there is, or waits for something once.
func (g *Group) pollOnce(ctx context.Context) ([]Message, error) {
	changed := g.member.changed()
	wait, err := g.reconcile(ctx)
	if ctx.Err() != nil {
		return nil, g.ended(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(g.pending) > 0 {
		messages := g.pending
		g.pending = nil
		return messages, nil
	}
	now := time.Now()
	var first error
	for _, r := range g.readers {
		messages, err := r.decode()
		if len(messages) > 0 {
			if !g.member.lapses() {
				return messages, nil
			}
			return nil, nil // they are dropped, and read again by whoever has them
		}
		if err = g.passing(err); err != nil && first == nil {
			first = err
		}
		wait = min(wait, r.launch(now))
	}
	if first != nil {
		return nil, first
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case take := <-g.arrivals:
		return nil, g.passing(take())
	case <-changed: // by the coordinator
	case <-timer.C:
	case <-ctx.Done():
		return nil, g.ended(ctx)
	}
	return nil, nil
}

// passing leaves out errors that the coordinator mends: it takes partitions away
// that are no more.
func (g *Group) passing(err error) error {
	switch talos.KindOf(err) {
	case talos.UnknownTopic, talos.UnknownPartition:
		return nil
	default:
		return err
	}
}

// ended says why a Poll ends: the member is closed, or the caller's time is up.
func (g *Group) ended(ctx context.Context) error {
	if g.ctx.Err() != nil {
		return closedError("sdk.Poll")
	}
	return endError(ctx, "sdk.Poll", g.name, g.member.trouble())
}

// Records yields records as Poll returns them, one at a time, as Consumer.Records
// does. A record counts as processed when the loop comes back for the next one; the
// one at which the loop is left does not, until the next call, or Commit.
func (g *Group) Records(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for {
			messages, err := g.poll(ctx)
			if err != nil {
				if !yield(Message{}, err) || !aboutPartition(err) {
					return
				}
				continue
			}
			g.pending = messages
			for len(g.pending) > 0 && ctx.Err() == nil && g.ctx.Err() == nil && !g.member.waits() {
				next := g.pending[:1]
				g.pending = g.pending[1:]
				g.offsets.handOut(g.placed(next))
				g.member.polled()
				more := yield(next[0], nil)
				if !more {
					return
				}
				g.offsets.processed()
				g.member.polled() // it has come back
			}
		}
	}
}

// Close commits what is processed, and leaves the group; another member has its
// partitions soon, or, with an instance id, the next one of that. What the last Poll
// returned does not count: the application may have failed over it. Where it has
// not, Commit comes first. Close returns when nothing of the member runs any more;
// its error says that something could not be committed, and is read again.
func (g *Group) Close(ctx context.Context) error {
	var err error
	g.closing.Do(func() {
		g.end()
		g.polls.Lock() // a Poll under way has ended
		defer g.polls.Unlock()
		g.running.Wait()
		if g.begun && g.client.ctx.Err() == nil {
			err = g.offsets.settle(ctx, func() {})
			g.member.leave(ctx)
		}
		for _, r := range g.readers {
			_ = r.Close() // it has no error
		}
	})
	return err
}

func newMemberID() string { return uuid.NewString() }
