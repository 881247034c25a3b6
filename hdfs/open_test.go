package hdfs

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func asked(t *ticket) bool {
	select {
	case <-t.roll:
		return true
	default:
		return false
	}
}

func TestTheSegmentUsedLongestAgoIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOpenSegments(2, newMetrics())
		var tickets []*ticket
		enter := func() *ticket {
			<-time.After(time.Second)
			tickets = append(tickets, o.enter(false))
			return tickets[len(tickets)-1]
		}
		first, second := enter(), enter()
		<-time.After(time.Second)
		first.use()
		third := enter()
		require.Equal(t, []bool{false, true, false}, []bool{asked(first), asked(second), asked(third)})
		fourth := enter()
		require.True(t, asked(first), "the one that was asked for is on its way, one more is needed")
		require.False(t, asked(third) || asked(fourth))
		for _, one := range tickets {
			o.leave(one)
		}
		fifth, sixth := enter(), enter()
		require.False(t, asked(fifth) || asked(sixth))
	})
}

func TestDegradedSegmentsAreAskedForTogetherAndOnce(t *testing.T) {
	o := newOpenSegments(10, newMetrics())
	whole, lacking, another := o.enter(false), o.enter(true), o.enter(true)
	require.True(t, o.anyDegraded())
	o.leave(another)
	require.Equal(t, 1, o.rollDegraded())
	require.True(t, asked(lacking))
	require.False(t, asked(whole) || asked(another))
	require.False(t, o.anyDegraded())
	require.Zero(t, o.rollDegraded())
	o.leave(lacking)
	o.leave(lacking)
	require.False(t, o.anyDegraded())
}
