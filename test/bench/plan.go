package bench

import (
	"fmt"
	"slices"
	"time"
)

// Plan says how much is measured.
type Plan struct {
	// Rows are the numbers of those that are measured.
	Rows []int
	// Rounds is how often each contender has two legs of each workload.
	Rounds int
	// Leg is how long a leg lasts, and Warmup one that is not counted before the
	// first; zero means none.
	Leg, Warmup time.Duration
	// LegBytes ends a leg before, in bytes of values.
	LegBytes int64
	// History is how many bytes of values are read in catch-up; five copies of it are
	// on disk at a time.
	History int64
	// Partitions is how many row 8 has, and Soak how long row 11 lasts.
	Partitions int32
	Soak       time.Duration
	// Keep lets servers serve all rows, not only the one that started them: quick, and
	// not for measuring, since they cost something also when nobody asks for anything.
	Keep bool
	// Profiles is the folder that gets a processor profile of the clients in each leg;
	// empty means none. A profile costs the clients a little.
	Profiles string
	// Scratch is the folder on whose disk everything is; empty is the system's
	// temporary one.
	Scratch string
}

// ShortPlan is that of `make bench`: rows 1 to 7 in less than ten minutes.
func ShortPlan() Plan {
	return Plan{
		Rows: []int{1, 2, 3, 4, 5, 6, 7}, Rounds: 1, Leg: 2 * time.Second, Warmup: time.Second,
		LegBytes: 512 << 20, History: 256 << 20, Partitions: 10_000, Soak: 10 * time.Minute,
	}
}

// FullPlan is for all rows.
func FullPlan() Plan {
	p := ShortPlan()
	p.Rows = nil
	for _, r := range rows() {
		p.Rows = append(p.Rows, r.Number)
	}
	p.Rounds, p.Leg, p.Warmup, p.History = 3, 5*time.Second, 2*time.Second, 4<<30
	return p
}

// SmokePlan shows in a minute or two that rows work, and measures nothing: what the
// rows left out come to is too little to be seen in so short a time.
func SmokePlan() Plan {
	p := ShortPlan()
	p.Rows = append(p.Rows, 10, 11)
	p.Soak = 2 * time.Second
	p.Leg, p.Warmup, p.LegBytes, p.History = 100*time.Millisecond, 0, 1<<20, 4<<20
	p.Keep = true
	return p
}

// Validate names a row that there is not.
func (p Plan) Validate() error {
	for _, n := range p.Rows {
		if !slices.ContainsFunc(rows(), func(r row) bool { return r.Number == n }) {
			return fmt.Errorf("there is no row %d", n)
		}
	}
	if p.Rounds < 1 || p.Leg <= 0 || p.Soak <= 0 {
		return fmt.Errorf("rounds: %d, leg: %v, soak: %v: there must be something to measure", p.Rounds, p.Leg, p.Soak)
	}
	if p.History < leastHistory {
		return fmt.Errorf("history: %d bytes: there must be something to read, %d at least", p.History, leastHistory)
	}
	return nil
}
