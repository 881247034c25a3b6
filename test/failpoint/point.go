package failpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Op is a sort of operation.
type Op string

// The operations.
const (
	List    Op = "list"
	Recover Op = "recover"
	Open    Op = "open"
	Create  Op = "create"
	Append  Op = "append"
	Seal    Op = "seal"
	Raise   Op = "raise"
	Swap    Op = "swap"
	Load    Op = "load"
)

// manifest is the prefix of operations on a topic's own folder.
const manifest = "manifest-"

// When is the side of the operation.
type When string

// The sides.
const (
	Before When = "before"
	Half   When = "half"
	After  When = "after"
)

// Point is where to die.
type Point struct {
	Op   Op
	When When
	// N is the operation's number, from 1 on.
	N int
}

// String returns the form that Parse reads.
func (p Point) String() string { return fmt.Sprintf("%s:%s:%d", p.Op, p.When, p.N) }

// Parse is the strict inverse of String.
func Parse(s string) (Point, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return Point{}, fmt.Errorf("failpoint %q: want operation:when:number", s)
	}
	p := Point{Op: Op(parts[0]), When: When(parts[1])}
	onStore := []Op{List, Recover, Open, Create, Append, Seal}
	base, ofManifest := strings.CutPrefix(parts[0], manifest)
	switch {
	case slices.Contains(onStore, Op(base)):
	case !ofManifest && slices.Contains([]Op{Raise, Swap, Load}, p.Op):
	default:
		return Point{}, fmt.Errorf("failpoint %q: no such operation", s)
	}
	switch {
	case p.When == Before, p.When == After:
	case p.When == Half && (Op(base) == Create || Op(base) == Append):
	default:
		return Point{}, fmt.Errorf("failpoint %q: want before or after, or half of create or append", s)
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil || n < 1 {
		return Point{}, fmt.Errorf("failpoint %q: the number must be at least 1", s)
	}
	p.N = n
	return p, nil
}

// Trap counts operations and springs at its point; for the zero Point, never.
type Trap struct {
	point Point
	// spring does not return in a real process.
	spring func(Point)

	mu    sync.Mutex // guards count
	count map[Op]int
}

// NewTrap calls spring at the point.
func NewTrap(point Point, spring func(Point)) *Trap {
	return &Trap{point: point, spring: spring, count: map[Op]int{}}
}

// step is one operation under way.
type step struct {
	trap *Trap
	// when is where in this operation to die; empty for every other operation.
	when When
}

// begin counts an operation, and springs if the point is before it.
func (t *Trap) begin(op Op) step {
	t.mu.Lock()
	t.count[op]++
	s := step{trap: t}
	if op == t.point.Op && t.count[op] == t.point.N {
		s.when = t.point.When
	}
	t.mu.Unlock()
	s.at(Before)
	return s
}

// half tells whether only half of the bytes are to be handed on.
func (s step) half() bool { return s.when == Half }

func (s step) at(when When) {
	if s.when == when {
		s.trap.spring(s.trap.point)
	}
}
