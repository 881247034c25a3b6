// Package stores opens the store that a URL names. It is the one place that knows
// all of them:
//
//	file:///path, or a path   a folder
//	mem:                      this process's memory
package stores
