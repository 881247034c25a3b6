// Package lint holds the rules about the source tree as a whole, as Go tests:
// which folder may import which, how large files, functions and interfaces may
// be, what tests may not do, and that links in documents lead somewhere. What a
// general linter can check stands in .golangci.yml instead.
package lint
