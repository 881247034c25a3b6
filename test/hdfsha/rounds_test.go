package hdfsha_test

import (
	"slices"
	"testing"
	"time"
)

// timed says how long the test took.
func timed(t *testing.T) {
	t.Helper()
	begun := time.Now()
	t.Cleanup(func() { t.Logf("took %v", time.Since(begun).Round(100*time.Millisecond)) })
}

// logPauses says how long they were.
func logPauses(t *testing.T, when string, pauses []time.Duration) {
	t.Helper()
	slices.Sort(pauses)
	n := len(pauses)
	t.Logf("%s, the longest pauses of %d rounds: median %v, longest %v", when, n,
		pauses[n/2].Round(time.Millisecond), pauses[n-1].Round(time.Millisecond))
}
