package datanode

import (
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/hdfs/internal/wire"
)

func TestAConnectionIsUsedAgain(t *testing.T) {
	data := noise(100_000)
	f := offering(t, newReplica(data))
	r, _ := reads(t, ReadConfig{})
	for i := range 5 {
		requireRead(t, r, blockOn(f), data, i*700, 3000)
	}
	conns, n, _ := f.served()
	require.Equal(t, 1, conns)
	require.Equal(t, 5, n)
}

func TestAConnectionThatTheDataNodeClosedIsReplaced(t *testing.T) {
	data := noise(5000)
	f := offering(t, newReplica(data))
	r, failed := reads(t, ReadConfig{})
	requireRead(t, r, blockOn(f), data, 0, 5000)
	f.hangUp()
	requireRead(t, r, blockOn(f), data, 0, 5000)
	require.Empty(t, failed.list(), "the DataNode is not to blame")
	require.Empty(t, r.health.sick)
	conns, _, _ := f.served()
	require.Equal(t, 2, conns)
}

func TestADataNodeThatClosesEveryConnectionIsToBlame(t *testing.T) {
	data, rep := spoiling(5000, nil)
	f, other := offering(t, rep), offering(t, newReplica(data))
	r, failed := reads(t, ReadConfig{})
	requireRead(t, r, blockOn(f, other), data, 0, 5000)
	rep.opened = func(*wire.OpReadBlock) *wire.BlockOpResponse {
		f.hangUp()
		return refusal("")
	}
	requireRead(t, r, blockOn(f, other), data, 0, 5000)
	require.Equal(t, []string{f.info.GetId().GetDatanodeUuid() + " error"}, failed.list())
	conns, _, _ := f.served()
	require.Equal(t, 2, conns, "once over a new one")
}

func TestAnUnusualEndCostsTheConnectionOnly(t *testing.T) {
	for name, end := range map[string]func(p *sending) bool{
		"the last packet has data": at(4999, func(p *sending, _ int) bool { *p.header.LastPacketInBlock = true; return true }),
		"there is no last packet":  func(p *sending) bool { return !p.header.GetLastPacketInBlock() },
	} {
		t.Run(name, func(t *testing.T) {
			data, rep := spoiling(5000, end)
			f := offering(t, rep)
			r, failed := reads(t, ReadConfig{})
			for range 2 {
				requireRead(t, r, blockOn(f), data, 0, 5000)
			}
			require.Empty(t, failed.list())
			conns, _, _ := f.served()
			require.Equal(t, 2, conns)
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := noise(5000)
		f := newFakeNode(t, 1)
		f.replica = newReplica(data)
		r, _ := reads(t, ReadConfig{Dial: piped(f)})
		requireRead(t, r, blockOn(f), data, 0, 5000)
		time.Sleep(idleTimeout / 2)
		requireRead(t, r, blockOn(f), data, 0, 5000)
		time.Sleep(idleTimeout - 1)
		synctest.Wait()
		require.Equal(t, 1, kept(r.idle), "used in between")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Zero(t, kept(r.idle))
		f.work.Wait() // it was closed, so its goroutine ends

		requireRead(t, r, blockOn(f), data, 0, 5000)
		conns, _, _ := f.served()
		require.Equal(t, 2, conns)
		r.Close()
		f.close()
	})
}

func TestThePoolIsBounded(t *testing.T) {
	p := newPool(time.Minute)
	var theirs []net.Conn
	put := func(address string) {
		a, b := net.Pipe()
		theirs = append(theirs, b)
		p.put(address, newReadConn(a, ReadConfig{}))
	}
	for range maxIdlePerNode + 1 {
		put("one")
	}
	require.Equal(t, maxIdlePerNode, kept(p))
	for i := range maxIdle {
		put(strconv.Itoa(i))
	}
	require.Equal(t, maxIdle, kept(p))
	taken := p.take("one")
	require.NotNil(t, taken)
	require.Equal(t, maxIdle-1, kept(p))
	p.close()
	require.NoError(t, taken.close())
	for _, conn := range theirs {
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err, "all are closed")
	}
	put("late")
	require.Zero(t, kept(p))
}

// kept returns how many connections are in the pool; -1 if it counts wrong.
func kept(p *pool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, all := range p.idle {
		n += len(all)
	}
	if n != p.count {
		return -1
	}
	return n
}
