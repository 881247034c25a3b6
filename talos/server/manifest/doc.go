// Package manifest keeps a topic's manifest in the store, beside its data, so
// that the store alone says what it holds.
//
// It is not the list of topics that nodes go by (the coordinator keeps that one),
// and never decides that data may go: only a tombstone, a version that says
// "deleted", allows that.
//
//	<topic id>/m0000000001-5f0c2a91    version 1, written before the topic exists
//	<topic id>/m0000000002-e07711d4    version 2, here a tombstone
//	<topic id>/0/a000000000001-…       partition 0 (package partition)
//
// A manifest is a segment of the store that is created whole and sealed, never
// changed. The newest valid version counts. The format is written down in
// docs/format/manifest.md.
package manifest
