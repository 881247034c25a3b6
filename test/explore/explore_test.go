package explore

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type search struct {
	name   string
	bounds Bounds
}

var (
	two     = []string{"a", "b"}
	three   = []string{"a", "b", "c"}
	restart = []string{"a", "b", "a"}
)

// searches lists what is gone through: the short ones within half a minute, the
// long ones within half an hour and 6 GiB of memory.
func searches() []search {
	all := []search{
		{"two owners, one fault", Bounds{Owners: two, Appends: []int{1, 1}, Faults: 1, Late: 1}},
		{"three owners", Bounds{Owners: three, Appends: []int{1, 1, 1}}},
		{"a restart", Bounds{Owners: []string{"a", "a"}, Appends: []int{2, 2}, Crashes: 1}},
		{"the partition comes back", Bounds{Owners: two, Appends: []int{1, 1}, Faults: 1, Back: true}},
		{"each record sent twice", Bounds{Owners: two, Appends: []int{1, 1}, Twice: true, Faults: 1}},
		{"an answer was lost", Bounds{Owners: three, Appends: []int{1, 1, 1}, Again: true}},
		{"rolling", Bounds{Owners: two, Appends: []int{2, 2}, SegmentBytes: 1}},
		{"trimming", Bounds{Owners: two, Appends: []int{1, 1}, SegmentBytes: 1, Trim: true}},
		{"one in between only looks", Bounds{Owners: two, Appends: []int{1, 0}, Faults: 1, Late: 1}},
		{"trimming, one fault", Bounds{Owners: two, Appends: []int{1, 1}, Trim: true, Faults: 1}},
		{"three owners, one fault", Bounds{Owners: three, Appends: []int{1, 1, 1}, Faults: 1, Late: 1}},
		{"two owners, two faults and a crash", Bounds{Owners: two, Appends: []int{1, 1}, Faults: 2, Late: 2, Crashes: 1}},
		{"three owners that roll", Bounds{Owners: three, Appends: []int{2, 2, 2}, SegmentBytes: 1}},
		{"rolling, one fault and a crash", Bounds{Owners: two, Appends: []int{2, 2}, SegmentBytes: 1, Faults: 1, Late: 1, Crashes: 1}},
		{"rolling and trimming, one fault", Bounds{Owners: two, Appends: []int{1, 1}, SegmentBytes: 1, Trim: true, Faults: 1, Late: 1}},
		{"three with a restart roll, one crash", Bounds{Owners: restart, Appends: []int{2, 2, 2}, SegmentBytes: 1, Crashes: 1}},
		{"three with a restart, a fault and a crash", Bounds{Owners: restart, Appends: []int{1, 1, 1}, SegmentBytes: 1, Faults: 1, Late: 1, Crashes: 1}},
		{"three with a restart roll and trim, a crash", Bounds{Owners: restart, Appends: []int{1, 1, 1}, SegmentBytes: 1, Trim: true, Crashes: 1}},
	}
	if os.Getenv("EXPLORE") != "long" {
		return all
	}
	return append(all,
		search{"three with a restart trim, a fault and a crash", Bounds{Owners: restart, Appends: []int{1, 1, 1}, SegmentBytes: 1, Trim: true, Faults: 1, Late: 1, Crashes: 1}},
		search{"three with a restart create three times, a crash", Bounds{Owners: restart, Appends: []int{3, 3, 3}, SegmentBytes: 1, Crashes: 1}},
		search{"three with a restart roll, a fault and a crash", Bounds{Owners: restart, Appends: []int{2, 2, 2}, SegmentBytes: 1, Faults: 1, Late: 1, Crashes: 1}},
		search{"three with a restart roll, then trim", Bounds{Owners: restart, Appends: []int{2, 2, 2}, SegmentBytes: 1, Trim: true}},
	)
}

// fewStates is how many states a search looks at where it would take too long.
const fewStates = 200

func TestNoInterleavingBreaksAPromise(t *testing.T) {
	most := 0
	if underRace {
		most = fewStates
	}
	for _, c := range searches() {
		t.Run(c.name, func(t *testing.T) {
			report, err := Search(t, c.bounds, most)
			t.Log(report)
			require.NoError(t, err)
			require.True(t, report.Complete || most > 0)
		})
	}
}
