//go:build race

package explore

// underRace: with the race detector, which makes a search ten times slower, each
// search looks at a few states only. `make explore` goes through all of them
// without it, and make test calls that.
const underRace = true
