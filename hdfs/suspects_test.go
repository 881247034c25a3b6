package hdfs

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func node(uuid string) *wire.DatanodeInfo {
	return &wire.DatanodeInfo{Id: &wire.DatanodeID{DatanodeUuid: proto.String(uuid)}}
}

func TestASuspectIsLeftOutForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSuspects()
		a, b := node("a"), node("b")
		s.add(a)
		time.Sleep(suspicion / 2)
		s.add(b)
		require.ElementsMatch(t, []*wire.DatanodeInfo{a, b}, s.list())
		time.Sleep(suspicion/2 + 1)
		require.Equal(t, []*wire.DatanodeInfo{b}, s.list())
		s.trust([]*wire.DatanodeInfo{node("b"), node("c")})
		require.Empty(t, s.list())
	})
}

func TestOnlySoManySuspectsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSuspects()
		for i := range maxSuspects + 1 {
			s.add(node(fmt.Sprint(i)))
			time.Sleep(time.Millisecond)
		}
		require.Len(t, s.list(), maxSuspects)
		require.NotContains(t, s.list(), node("0"), "the oldest is forgotten")
	})
}

func TestOneThatIsGoneIsWatchedUntilItListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSuspects()
		a, b := node("a"), node("b")
		s.add(a)
		s.add(b)
		require.False(t, s.seen(a, false))
		require.False(t, s.seen(b, true), "it was not gone")
		time.Sleep(suspicion + 1)
		require.Equal(t, []*wire.DatanodeInfo{a}, s.watched())
		require.True(t, s.seen(a, true))
		require.False(t, s.seen(a, true), "once")
		require.Empty(t, s.watched())
	})
}

// A host that is off does not even refuse.
func TestAHostThatDoesNotAnswerHidesNoOtherThatIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSuspects()
		off, back := node("off"), node("back")
		s.seen(back, false)
		s.add(off)
		ctx, cancel := context.WithTimeout(t.Context(), knockEvery)
		defer cancel()
		require.True(t, s.knock(ctx, func(ctx context.Context, node *wire.DatanodeInfo) bool {
			if node == off {
				<-ctx.Done()
			}
			return node == back
		}))
		require.Equal(t, []*wire.DatanodeInfo{off}, s.watched())
		time.Sleep(suspicion + 1)
		require.Equal(t, []*wire.DatanodeInfo{off}, s.watched(), "until it is back")
		require.True(t, s.knock(t.Context(), func(context.Context, *wire.DatanodeInfo) bool { return true }))
	})
}

func TestASlowOneIsNotTrustedForAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSuspects()
		a, b := node("a"), node("b")
		s.addSlow(a)
		s.add(b)
		require.Equal(t, []*wire.DatanodeInfo{a}, s.listSlow())
		s.trust([]*wire.DatanodeInfo{a, b})
		require.Equal(t, []*wire.DatanodeInfo{a}, s.list())
		time.Sleep(suspicion + 1)
		require.Empty(t, s.list())
	})
}

// One that is slow and then breaks a segment is not trusted for answering either.
func TestASlowOneThatFailsIsStillSlow(t *testing.T) {
	s := newSuspects()
	a := node("a")
	s.addSlow(a)
	s.add(a)
	s.trust([]*wire.DatanodeInfo{a})
	require.Equal(t, []*wire.DatanodeInfo{a}, s.listSlow())
}

func TestRollsForSlowDataNodesAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r slowRolls
		allowed := func() (n int) {
			for range 10 * maxSlowRolls {
				if r.allow() {
					n++
				}
			}
			return n
		}
		require.Equal(t, maxSlowRolls, allowed())
		time.Sleep(slowRollEvery)
		require.Equal(t, maxSlowRolls, allowed())
	})
}

// Each segment that it had a part in tells of a DataNode's death, and each recovery
// of one does again.
func TestADataNodeThatFailsIsNewsOnceWhileItIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSuspects()
		a := node("a")
		require.True(t, s.add(a))
		require.False(t, s.add(a))
		require.True(t, s.add(node("b")))
		s.trust([]*wire.DatanodeInfo{a})
		require.True(t, s.add(a), "it was back")
		time.Sleep(suspicion / 2)
		require.False(t, s.add(a))
		time.Sleep(suspicion/2 + 1)
		require.Equal(t, []*wire.DatanodeInfo{a}, s.list(), "it is left out from its latest failure on")
		time.Sleep(suspicion)
		require.True(t, s.add(a), "it was used again")
	})
}

func TestThatASlowOneFailsIsNews(t *testing.T) {
	s := newSuspects()
	a := node("a")
	s.addSlow(a)
	require.True(t, s.add(a))
	s.addSlow(a)
	require.False(t, s.add(a))
}
