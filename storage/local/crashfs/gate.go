package crashfs

import "sync"

// Gate holds operations up until a test lets them go on, one by one; its Enter
// is what New takes. In a synctest bubble, synctest.Wait returns once all that
// runs has come to the gate or waits for something else, so that the test alone
// decides which operation is next.
type Gate struct {
	mu      sync.Mutex // guards waiting
	waiting []held
}

type held struct {
	op   string
	open chan struct{}
}

// Enter blocks until the operation is let go.
func (g *Gate) Enter(op string) {
	h := held{op, make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, h)
	g.mu.Unlock()
	<-h.open
}

// Waiting is how many operations are held up.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Let lets the i-th of those that wait go on, and returns what it is.
func (g *Gate) Let(i int) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.waiting[i]
	g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
	close(h.open)
	return h.op
}
