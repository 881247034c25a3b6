//go:build !race

package leases

const underRace = false
