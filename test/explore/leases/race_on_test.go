//go:build race

package leases

// underRace: with the race detector, which makes a search ten times slower, each run
// differs in one choice only. `make explore` goes on without it, and make test calls
// that.
const underRace = true
