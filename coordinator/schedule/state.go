package schedule

import (
	"time"

	"github.com/talos-log/talos/talos"
)

// State is all that a plan depends on.
type State struct {
	Now time.Time
	// Members are the nodes that are registered, in any order.
	Members []Member
	// Away are nodes that are not registered, and until when what they own is kept for
	// them.
	Away map[string]time.Time
	// Topics may come in any order.
	Topics []Topic
	// Pins are the nodes that operators want partitions to be on.
	Pins map[talos.PartitionID]string
	// Loads is in bytes a second; a partition that is not named has none.
	Loads map[talos.PartitionID]float64
	// LoadMoved is when the load last made partitions change places; zero if never.
	LoadMoved time.Time
	Limits    Limits
}

// Member is a node that is registered.
type Member struct {
	ID string
	// Draining: it should own nothing.
	Draining bool
	// Unfit: it can't reach its store, so others should have what it owns, if any of
	// them can.
	Unfit bool
}

// Topic is a topic and who owns its partitions.
type Topic struct {
	ID         talos.TopicID
	Name       talos.TopicName
	Partitions int32
	// Owners has a node's id for each partition, or an empty one; it may be shorter
	// than there are partitions.
	Owners []string
	// Next are the handovers under way.
	Next map[int32]Handover
}

// Handover is a move under way.
type Handover struct {
	To    string
	Since time.Time
}

// Limits bound what a plan does at once. A zero field means its default.
type Limits struct {
	// Moves is the most handovers under way in all; negative for no limit, which also
	// lifts NodeMoves: the plan then goes to the end.
	Moves int
	// NodeMoves is the most handovers under way from one node, and the most to one.
	NodeMoves int
	// Patience is how long a handover may take until it is forced.
	Patience time.Duration
	// LoadTolerance is how much more than the average the hottest node may carry, as a
	// share of it, until load moves something.
	LoadTolerance float64
	// LoadFloor is the bytes a second of the hottest node below which load moves nothing.
	LoadFloor float64
	// LoadPeriod is the least time between two exchanges for load.
	LoadPeriod time.Duration
}

// The defaults of Limits.
const (
	DefaultMoves         = 16
	DefaultNodeMoves     = 4
	DefaultPatience      = 30 * time.Second
	DefaultLoadTolerance = 0.25
	DefaultLoadFloor     = 1 << 20
	DefaultLoadPeriod    = time.Minute
)

func (l Limits) withDefaults() Limits {
	orDefault(&l.Moves, DefaultMoves)
	orDefault(&l.NodeMoves, DefaultNodeMoves)
	orDefault(&l.Patience, DefaultPatience)
	orDefault(&l.LoadTolerance, DefaultLoadTolerance)
	orDefault(&l.LoadFloor, DefaultLoadFloor)
	orDefault(&l.LoadPeriod, DefaultLoadPeriod)
	return l
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Kind is what a step does.
type Kind int

// The kinds.
const (
	// Place gives a partition that nobody owns to To.
	Place Kind = iota + 1
	// Move asks From to hand a partition over to To.
	Move
	// Force gives a partition to To without asking From.
	Force
	// Cancel ends the handover to To; From stays the owner.
	Cancel
)

// String is the kind's name in plans.
func (k Kind) String() string {
	return [...]string{"none", "place", "move", "force", "cancel"}[k]
}

// Step is one change of one partition's assignment.
type Step struct {
	Kind      Kind
	Partition talos.PartitionID
	From, To  string
	// Reason is for people.
	Reason string
	// ForLoad tells that the step was made for load: see State.LoadMoved.
	ForLoad bool
}

// Plan is what should be done now.
type Plan struct {
	// Steps concern different partitions.
	Steps []Step
	// At is when to plan again though nothing has changed; zero for never.
	At time.Time
}

// lookAt makes the plan be made again no later than t.
func (p *Plan) lookAt(t time.Time) {
	if p.At.IsZero() || t.Before(p.At) {
		p.At = t
	}
}
