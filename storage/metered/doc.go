// Package metered is a store that measures another one: how long each operation
// takes, what fails and how, and how many bytes go through. So every store has
// the same metrics; what only one of them knows, it counts itself.
//
// It changes nothing: errors, order and traits are those of the store inside.
package metered
