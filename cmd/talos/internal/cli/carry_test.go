package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// pinned is a cluster that moves each pinned partition some time after it was
// pinned, except to the node that is called nowhere.
type pinned struct {
	topic  sdk.TopicPlacement
	began  map[int32]time.Time
	moving time.Duration
	most   int // pins at the same time
	// pinnedTo is called when pins have changed; it may be nil.
	pinnedTo func()
	// It does not answer from one time to the other.
	away, back time.Time
	// nodes are those that there are; c drains, or is there again, from a time on, unless
	// that is zero.
	nodes           []sdk.NodeStatus
	drains, returns time.Time
	// refuses, if not empty, is what becomes of pins.
	refuses talos.Kind
}

func newPinned(partitions int32) *pinned {
	p := &pinned{
		topic: sdk.TopicPlacement{Topic: talos.Topic{Name: "logs", Partitions: partitions}},
		began: make(map[int32]time.Time), moving: time.Second,
	}
	for _, id := range []string{"a", "b", "c", "nowhere"} {
		p.nodes = append(p.nodes, sdk.NodeStatus{ID: id, Registered: true})
	}
	for n := range partitions {
		p.topic.Partitions = append(p.topic.Partitions, sdk.PartitionPlacement{Partition: n, Owner: "a"})
	}
	return p
}

func (p *pinned) Placement(_ context.Context, topics ...talos.TopicName) ([]sdk.TopicPlacement, error) {
	now := time.Now()
	if !p.drains.IsZero() && now.After(p.drains) {
		p.node("c").Mark = sdk.MarkDrain
	}
	if now.After(p.away) && now.Before(p.back) {
		return nil, &talos.Error{Kind: talos.Unavailable}
	}
	if topics[0] != "logs" {
		return nil, &talos.Error{Kind: talos.UnknownTopic, Subject: string(topics[0])}
	}
	for n, began := range p.began {
		at := &p.topic.Partitions[n]
		if time.Since(began) >= p.moving && at.Pin != "nowhere" && p.node(at.Pin).Mark != sdk.MarkDrain {
			at.Owner = at.Pin
			delete(p.began, n)
		}
	}
	copied := p.topic
	copied.Partitions = append([]sdk.PartitionPlacement(nil), p.topic.Partitions...)
	return []sdk.TopicPlacement{copied}, nil
}

func (p *pinned) Cluster(context.Context) (sdk.ClusterStatus, error) {
	if !p.returns.IsZero() && time.Now().After(p.returns) {
		*p.node("c") = sdk.NodeStatus{ID: "c", Registered: true}
	}
	return sdk.ClusterStatus{Nodes: append([]sdk.NodeStatus(nil), p.nodes...)}, nil
}

func (p *pinned) node(id string) *sdk.NodeStatus {
	for i := range p.nodes {
		if p.nodes[i].ID == id {
			return &p.nodes[i]
		}
	}
	return &sdk.NodeStatus{}
}

func (p *pinned) PinPartitions(ctx context.Context, pins ...sdk.Pin) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if p.refuses != "" {
		return &talos.Error{Kind: p.refuses}
	}
	for _, pin := range pins {
		p.topic.Partitions[pin.Partition].Pin = pin.Node
		if pin.Node != "" {
			p.began[pin.Partition] = time.Now()
		} else {
			delete(p.began, pin.Partition)
		}
	}
	now := 0
	for _, at := range p.topic.Partitions {
		if at.Pin != "" {
			now++
		}
	}
	p.most = max(p.most, now)
	if p.pinnedTo != nil {
		p.pinnedTo()
	}
	return nil
}

// leads counts, by node, what is there when all that is pinned is where it should be.
func (p *pinned) leads() map[string]int {
	counts := make(map[string]int)
	for _, at := range p.topic.Partitions {
		node := at.Owner
		if at.Pin != "" {
			node = at.Pin
		}
		counts[node]++
	}
	return counts
}

func (p *pinned) owners() string {
	var owners strings.Builder
	for _, at := range p.topic.Partitions {
		owners.WriteString(at.Owner)
		if at.Pin != "" {
			owners.WriteString("!")
		}
	}
	return owners.String()
}

func movesTo(node string, partitions ...int32) []sdk.PlannedMove {
	var moves []sdk.PlannedMove
	for _, n := range partitions {
		moves = append(moves, sdk.PlannedMove{Topic: "logs", Partition: n, From: "a", To: node})
	}
	return moves
}

// carrierOf moves partitions of a cluster, and notes them.
func carrierOf(p *pinned) (*carrier, *[]string) {
	told := &[]string{}
	return &carrier{s: &settings{timeout: 10 * time.Second}, client: p, done: func(m sdk.PlannedMove, moved bool) error {
		*told = append(*told, fmt.Sprintf("%d %v", m.Partition, moved))
		return nil
	}}, told
}

func TestCarrierMovesAndLeavesNoPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(4)
		p.topic.Partitions[2].Owner = "b"
		c, told := carrierOf(p)
		require.NoError(t, c.carry(t.Context(), movesTo("b", 1, 2, 3)))
		require.Equal(t, "abbb", p.owners())
		require.Equal(t, []string{"2 false", "1 true", "3 true"}, *told)
		require.Len(t, c.carried, 3)
	})
}

func TestCarrierKeepsPinsIfItShould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(3)
		p.topic.Partitions[2].Owner = "b"
		c, _ := carrierOf(p)
		c.keep = true
		require.NoError(t, c.carry(t.Context(), movesTo("b", 1, 2)))
		require.Equal(t, "ab!b!", p.owners())
	})
}

// What an operator has pinned stays pinned, and is not moved elsewhere.
func TestCarrierLeavesAnOperatorsPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(3)
		p.topic.Partitions[1].Pin = "b"
		c, _ := carrierOf(p)
		require.NoError(t, c.carry(t.Context(), movesTo("b", 1, 2)))
		require.Equal(t, "ab!b", p.owners())

		c, _ = carrierOf(p)
		err := c.carry(t.Context(), movesTo("a", 2, 1))
		require.ErrorContains(t, err, "it is to go to a, and is pinned to b")
		require.Equal(t, "ab!b", p.owners(), "nothing was moved")
	})
}

func TestCarrierMovesSomeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(100)
		c, _ := carrierOf(p)
		var all []int32
		for n := range int32(100) {
			all = append(all, n)
		}
		require.NoError(t, c.carry(t.Context(), movesTo("b", all...)))
		require.Equal(t, strings.Repeat("b", 100), p.owners())
		require.Equal(t, carriedAtOnce, p.most)
	})
}

// A plan that exchanges partitions is not cut between the two ways, whatever the order
// of its lines: else a node has more than its share in between, and the cluster makes
// room there with moves that nobody planned. So also where three nodes exchange, and
// the plan does not say what is where.
func TestCarrierKeepsExchangesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 30
		to := map[string]string{"a": "b", "b": "c", "c": "a"}
		p := newPinned(3 * each)
		var moves []sdk.PlannedMove
		for n := range p.topic.Partitions {
			p.topic.Partitions[n].Owner = string("abc"[n/each])
			moves = append(moves, sdk.PlannedMove{Topic: "logs", Partition: int32(n), To: to[p.topic.Partitions[n].Owner]})
		}
		moves[0].To, moves[each].To, moves[2*each].To = "c", "a", "b" // and some the other way round
		want := p.leads()
		p.pinnedTo = func() { require.Equal(t, want, p.leads()) }
		c, _ := carrierOf(p)
		require.NoError(t, c.carry(t.Context(), moves))
		require.Len(t, c.carried, 3*each)
		require.LessOrEqual(t, p.most, carriedAtOnce)
	})
}

// Ways come first, and nothing is left out.
func TestTogether(t *testing.T) {
	way := func(n int32, from, to string) errand {
		return errand{PlannedMove: sdk.PlannedMove{Partition: n, To: to}, owner: from}
	}
	for name, c := range map[string]struct {
		todo []errand
		want [][]int32
	}{
		"nothing":                 {nil, nil},
		"to one node":             {[]errand{way(0, "a", "b"), way(1, "a", "b")}, [][]int32{{0}, {1}}},
		"from nobody":             {[]errand{way(0, "", "b"), way(1, "", "a")}, [][]int32{{0}, {1}}},
		"from node to node":       {[]errand{way(0, "b", "c"), way(1, "b", "c"), way(2, "a", "b"), way(3, "a", "b")}, [][]int32{{2, 0}, {3, 1}}},
		"an exchange":             {[]errand{way(0, "a", "b"), way(1, "a", "b"), way(2, "b", "a")}, [][]int32{{1}, {0, 2}}},
		"a ring":                  {[]errand{way(0, "a", "b"), way(1, "c", "a"), way(2, "b", "c")}, [][]int32{{0, 2, 1}}},
		"a ring in a way":         {[]errand{way(0, "a", "b"), way(1, "b", "c"), way(2, "c", "b"), way(3, "b", "d")}, [][]int32{{0, 3}, {1, 2}}},
		"there already, in a way": {[]errand{way(0, "a", "a")}, [][]int32{{0}}},
	} {
		var got [][]int32
		for _, group := range together(c.todo) {
			var numbers []int32
			for _, m := range group {
				numbers = append(numbers, m.Partition)
			}
			got = append(got, numbers)
		}
		require.Equal(t, c.want, got, name)
	}
}

// Whoever stops it finds what had begun where it was, or where it should be, and no
// pins.
func TestCarrierStopsInGoodOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(carriedAtOnce + 8)
		var all []int32
		for n := range int32(carriedAtOnce + 8) {
			all = append(all, n)
		}
		ctx, stop := context.WithTimeout(t.Context(), 1500*time.Millisecond) // within the second lot
		defer stop()
		c, _ := carrierOf(p)
		require.ErrorIs(t, c.carry(ctx, movesTo("b", all...)), context.DeadlineExceeded)
		require.Len(t, c.carried, carriedAtOnce)
		require.Equal(t, strings.Repeat("b", carriedAtOnce)+strings.Repeat("a", 8), p.owners())

		// And it can go on.
		c, _ = carrierOf(p)
		require.NoError(t, c.carry(t.Context(), movesTo("b", all...)))
		require.Equal(t, strings.Repeat("b", carriedAtOnce+8), p.owners())
	})
}

func TestCarrierGivesUpOnWhatDoesNotMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(2)
		c, _ := carrierOf(p)
		err := c.carry(t.Context(), append(movesTo("b", 0), movesTo("nowhere", 1)...))
		require.ErrorIs(t, err, talos.InvalidRequest)
		require.ErrorContains(t, err, "logs/1")
		require.Equal(t, "ba", p.owners())
	})
}

// What a plan says is not done in part if it can't be done as a whole.
func TestCarrierBeginsNothingIfANodeTakesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		node sdk.NodeStatus
		kind talos.Kind
		says string
	}{
		"drains":  {sdk.NodeStatus{ID: "c", Registered: true, Mark: sdk.MarkDrain}, talos.UnschedulableNode, "which drains"},
		"ends":    {sdk.NodeStatus{ID: "c", Registered: true, Mark: sdk.MarkDrain, Ending: true}, talos.UnschedulableNode, "which is ending"},
		"unfit":   {sdk.NodeStatus{ID: "c", Registered: true, Unfit: "no store"}, talos.UnschedulableNode, "which can't do its work: no store"},
		"away":    {sdk.NodeStatus{ID: "c", Mark: sdk.MarkRestart}, talos.UnschedulableNode, "which is away for a restart"},
		"gone":    {sdk.NodeStatus{ID: "c", Owned: 1}, talos.UnknownNode, "it is to go to c"},
		"unknown": {sdk.NodeStatus{}, talos.UnknownNode, "it is to go to c"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPinned(3)
				*p.node("c") = c.node
				carrier, told := carrierOf(p)
				begun := time.Now()
				err := carrier.carry(t.Context(), append(movesTo("a", 2), append(movesTo("b", 0), movesTo("c", 1)...)...))
				require.ErrorIs(t, err, c.kind)
				require.ErrorContains(t, err, "logs/1")
				require.ErrorContains(t, err, c.says)
				require.Zero(t, time.Since(begun))
				require.Zero(t, p.most)
				require.Empty(t, *told)
			})
		})
	}
}

// A node that begins to drain ends the waiting for it, with what was done before.
func TestCarrierEndsWhenANodeBeginsToDrain(t *testing.T) {
	for _, keep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPinned(4)
			p.moving = time.Second
			p.pinnedTo = func() {
				p.drains = time.Now().Add(500 * time.Millisecond)
				p.topic.Partitions[0].Owner = "b"
			}
			c, told := carrierOf(p)
			c.keep = keep
			begun, moves := time.Now(), append(movesTo("b", 0), movesTo("c", 1, 2)...)
			err := c.carry(t.Context(), moves)
			require.ErrorIs(t, err, talos.UnschedulableNode)
			require.ErrorContains(t, err, "logs/1: ")
			require.ErrorContains(t, err, "it is to go to c, which drains")
			require.Contains(t, hint(err), "`talos node uncordon c`")
			require.Equal(t, exitRefused, exitCode(err))
			require.Less(t, time.Since(begun), 5*time.Second)
			require.Equal(t, []string{"0 true"}, *told)
			require.Equal(t, "logs/1, logs/2", c.undone(moves))
			require.True(t, c.asked)
			require.Equal(t, map[bool]string{false: "baaa", true: "b!a!a!a"}[keep], p.owners())
		})
	}
}

func TestCarrierWaitsForANodeThatIsAwayForAMoment(t *testing.T) {
	for name, away := range map[string]sdk.NodeStatus{
		"not registered": {ID: "c"},
		"unfit":          {ID: "c", Registered: true, Unfit: "no store"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPinned(1)
				p.moving = 5 * time.Second
				p.pinnedTo = func() {
					*p.node("c") = away
					p.returns = time.Now().Add(2 * time.Second)
				}
				c, told := carrierOf(p)
				require.NoError(t, c.carry(t.Context(), movesTo("c", 0)))
				require.Equal(t, []string{"0 true"}, *told)
			})
		})
	}
}

// Of an answer that got lost nobody knows whether the pins are set.
func TestCarrierThatGotNoAnswerMayHaveAsked(t *testing.T) {
	for _, kind := range []talos.Kind{talos.Unavailable, talos.UnschedulableNode} {
		synctest.Test(t, func(t *testing.T) {
			p := newPinned(1)
			p.refuses = kind
			c, _ := carrierOf(p)
			require.ErrorIs(t, c.carry(t.Context(), movesTo("c", 0)), kind)
			require.Equal(t, kind == talos.Unavailable, c.asked)
		})
	}
}

func TestUndoneNamesAFew(t *testing.T) {
	c, _ := carrierOf(newPinned(0))
	require.NoError(t, c.arrive(movesTo("b", 0)[0], true))
	require.Equal(t, "logs/1, logs/2, logs/3, logs/4, logs/5 and 2 more", c.undone(movesTo("b", 0, 1, 2, 3, 4, 5, 6, 7)))
}

func TestCarrierChangesNothingIfThePlanIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(2)
		c, _ := carrierOf(p)
		require.ErrorIs(t, c.carry(t.Context(), movesTo("b", 0, 2)), talos.UnknownPartition)
		require.ErrorIs(t, c.carry(t.Context(), append(movesTo("b", 0), sdk.PlannedMove{Topic: "logz", To: "b"})), talos.UnknownTopic)
		require.Equal(t, "aa", p.owners())
		require.Zero(t, p.most)
	})
}

// A node that is away for a moment ends nothing; one that stays away does.
func TestCarrierOutlivesAShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPinned(1)
		c, _ := carrierOf(p)
		outage := func(d time.Duration) {
			p.away = time.Now().Add(100 * time.Millisecond)
			p.back = p.away.Add(d)
		}
		outage(3 * time.Second)
		require.NoError(t, c.carry(t.Context(), movesTo("b", 0)))
		outage(time.Hour)
		require.ErrorIs(t, c.carry(t.Context(), movesTo("c", 0)), talos.Unavailable)
		require.Equal(t, "b", p.owners())
	})
}

func TestReadMoves(t *testing.T) {
	nodes := []sdk.NodeStatus{{ID: "a", Registered: true}, {ID: "b", Registered: true}, {ID: "c"}}
	moves, err := readMoves(strings.NewReader(`{"topic":"logs","partition":3,"from":"a","to":"b","reason":"balance","bytes_per_second":1.5}

{"topic":"logs","partition":0,"to":"b","later":"unknown"}
`), nodes)
	require.NoError(t, err)
	require.Equal(t, []sdk.PlannedMove{
		{Topic: "logs", Partition: 3, From: "a", To: "b", Reason: "balance", BytesPerSecond: 1.5},
		{Topic: "logs", To: "b"},
	}, moves)
	for _, line := range []string{`{"partition":0,"to":"b"}`, `{"topic":"logs","to":"b"}`, `{"topic":"logs","partition":0}`, `logs 0 b`, `{"topic":"logs","partition":-1,"to":"b"}`} {
		_, err := readMoves(strings.NewReader(`{"topic":"logs","partition":0,"to":"b"}`+"\n"+line), nodes)
		require.ErrorIs(t, err, talos.InvalidRequest, line)
		require.ErrorContains(t, err, "line 2", line)
	}
}

// A plan may be older than the cluster is.
func TestReadMovesRefusesNodesThatAreNotThere(t *testing.T) {
	nodes := []sdk.NodeStatus{{ID: "b", Registered: true}, {ID: "c", Owned: 3}}
	for _, node := range []string{"c", "d"} {
		_, err := readMoves(strings.NewReader(`{"topic":"logs","partition":0,"to":"b"}`+"\n"+`{"topic":"logs","partition":7,"to":"`+node+`"}`), nodes)
		require.ErrorIs(t, err, talos.UnknownNode)
		require.ErrorContains(t, err, "line 2 of the plan: logs/7 is to go to "+node)
	}
}

func TestReadMovesRefusesNodesThatTakeNothing(t *testing.T) {
	nodes := []sdk.NodeStatus{{ID: "b", Registered: true}, {ID: "c", Registered: true, Mark: sdk.MarkDrain}}
	_, err := readMoves(strings.NewReader(`{"topic":"logs","partition":0,"to":"b"}`+"\n"+`{"topic":"logs","partition":7,"to":"c"}`), nodes)
	require.ErrorIs(t, err, talos.UnschedulableNode)
	require.ErrorContains(t, err, "line 2 of the plan: logs/7 is to go to c, which drains")
	require.Contains(t, hint(err), "`talos node uncordon c`")
}
