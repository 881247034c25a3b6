package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/talos-log/talos/test/proxy"
)

// linkFaults are what happens between a node and the others.
func linkFaults() []Fault {
	return []Fault{
		{Name: "cut-etcd", begin: cutEtcd},
		{Name: "cut-store", can: onNetwork, begin: cutStore},
		{Name: "cut-clients", within: true, begin: cutClients},
		{Name: "slow", begin: slow},
		{Name: "slow-clients", within: true, begin: slowClients},
	}
}

// breaks cuts links, or lets them swallow everything, and says which.
func (w *World) breaks(links ...*proxy.Link) (how string) {
	hole := w.rng.IntN(2) == 0
	for _, l := range links {
		if hole {
			l.Hole()
		} else {
			l.Cut()
		}
	}
	if hole {
		return "swallowed everything"
	}
	return "was cut"
}

// feltSum adds up what links' faults have done.
func feltSum(links ...*proxy.Link) (sum proxy.Felt) {
	for _, l := range links {
		f := l.Felt()
		sum.Broken, sum.Refused = sum.Broken+f.Broken, sum.Refused+f.Refused
		sum.Held, sum.Late = sum.Held+f.Held, sum.Late+f.Late
	}
	return sum
}

// cutEtcd keeps a node from etcd for longer than its lease: it must stop serving by
// itself, and others take over.
func cutEtcd(w *World) happening {
	m, partitions := w.busiest()
	marks := w.mark(partitions)
	how := w.breaks(m.etcd...)
	return happening{
		felt: func() string {
			seen := marks.awaitRaised()
			if seen == "" {
				return ""
			}
			w.mustDisown(m)
			return said(fmt.Sprintf("the link of %s to etcd %s", m.id, how), seen)
		},
		heal: func() { heal(m.etcd...) },
	}
}

// cutStore keeps a node from the store for a while.
func cutStore(w *World) happening {
	m := w.owner()
	before := feltSum(m.store)
	how := w.breaks(m.store)
	w.pass(w.between(100*time.Millisecond, 2*w.Config.Lease))
	return happening{
		felt: func() string {
			var now proxy.Felt
			hit := w.happens(func(context.Context) bool { now = feltSum(m.store); return now != before })
			if !hit {
				return ""
			}
			return fmt.Sprintf("the link of %s to the store %s: %d connections broken, %d refused, %d pieces held",
				m.id, how, now.Broken-before.Broken, now.Refused-before.Refused, now.Held-before.Held)
		},
		heal: m.store.Heal,
	}
}

// cutClients keeps the clients from a node for a moment: what is on its way to them
// gets lost.
func cutClients(w *World) happening {
	m := w.owner()
	before := feltSum(m.clients)
	cuts := 1 + w.rng.IntN(5)
	for range cuts {
		w.pass(w.between(20*time.Millisecond, 300*time.Millisecond))
		m.clients.Cut()
		w.pass(w.between(time.Millisecond, 100*time.Millisecond))
		m.clients.Heal()
	}
	m.clients.Hole()
	w.pass(w.between(10*time.Millisecond, w.Config.Lease))
	return happening{
		felt: func() string {
			now := feltSum(m.clients)
			if now.Broken == before.Broken {
				return ""
			}
			return fmt.Sprintf("the link of %s to clients was cut %d times: %d connections broken, %d refused, then %d pieces held",
				m.id, cuts, now.Broken-before.Broken, now.Refused-before.Refused, now.Held-before.Held)
		},
		heal: m.clients.Heal,
	}
}

// slow makes all links of a node slow.
func slow(w *World) happening {
	m := w.owner()
	return slowed(w, "the links of "+m.id, m.links()...)
}

// slowClients makes the links of all nodes to clients slow.
func slowClients(w *World) happening {
	var links []*proxy.Link
	for _, m := range w.nodes {
		links = append(links, m.clients)
	}
	return slowed(w, "the links to clients", links...)
}

func slowed(w *World, which string, links ...*proxy.Link) happening {
	before, since := feltSum(links...), w.History.Now()
	s := proxy.Slowness{Delay: w.between(time.Millisecond, 60*time.Millisecond), BytesPerSecond: 200_000 + w.rng.IntN(2_000_000)}
	for _, l := range links {
		l.Slow(s)
	}
	return happening{
		felt: func() string {
			served := w.happens(func(context.Context) bool {
				return feltSum(links...).Late > before.Late && w.History.AckedOfSince(since) >= 100
			})
			if !served {
				return ""
			}
			return fmt.Sprintf("%s were late by %v: %d pieces", which, s.Delay.Round(time.Millisecond), feltSum(links...).Late-before.Late)
		},
		heal: func() { heal(links...) },
	}
}

func heal(links ...*proxy.Link) {
	for _, l := range links {
		l.Heal()
	}
}
