package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
)

// etcdFaults are what happens to etcd.
func etcdFaults() []Fault {
	return []Fault{
		{Name: "kill-etcd", begin: killEtcd},
		{Name: "pause-etcd", begin: pauseEtcd},
		{Name: "compact", begin: compact},
	}
}

// killEtcd ends etcd's leader with SIGKILL, or its only member.
func killEtcd(w *World) happening {
	leader, err := w.etcd.Leader(w.T.Context())
	require.NoError(w.T, err)
	pid := leader.PID()
	require.NoError(w.T, leader.Kill())
	w.pass(w.between(time.Millisecond, w.Config.Lease))
	return happening{
		felt: func() string {
			if w.Config.Members == 1 {
				return fmt.Sprintf("the only member of etcd, process %d, was killed", pid)
			}
			next, err := w.etcd.Leader(w.T.Context())
			require.NoError(w.T, err)
			return fmt.Sprintf("%s was killed, %s leads", leader, next)
		},
		heal: func() { require.NoError(w.T, leader.Start(w.T.Context())) },
	}
}

// pauseEtcd stops etcd's leader with SIGSTOP, or its only member, for a while.
func pauseEtcd(w *World) happening {
	leader, err := w.etcd.Leader(w.T.Context())
	require.NoError(w.T, err)
	require.NoError(w.T, leader.Stop())
	begun := time.Now()
	w.pass(w.between(10*time.Millisecond, 2*w.Config.Lease))
	return happening{
		felt: func() string {
			done := fmt.Sprintf("%s stood still for %v", leader, time.Since(begun).Round(time.Millisecond))
			if w.Config.Members == 1 {
				return done
			}
			next, err := w.etcd.Leader(w.T.Context())
			require.NoError(w.T, err)
			return fmt.Sprintf("%s, %s leads", done, next)
		},
		heal: func() { require.NoError(w.T, leader.Continue()) },
	}
}

// compact makes etcd forget what a node has not heard of yet, because it was cut
// off: its watch can't go on where it was.
func compact(w *World) happening {
	m := w.any()
	for _, l := range m.etcd {
		l.Cut()
	}
	broken := feltSum(m.etcd...).Broken
	revision, err := w.etcd.Compact(w.T.Context())
	require.NoError(w.T, err)
	return happening{
		felt: func() string {
			w.happens(func(context.Context) bool { return feltSum(m.etcd...).Refused > 0 })
			return fmt.Sprintf("etcd was compacted at revision %d while %s was cut off, with %d connections", revision, m.id, broken)
		},
		heal: func() { heal(m.etcd...) },
	}
}
