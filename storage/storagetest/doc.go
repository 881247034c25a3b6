// Package storagetest is the conformance suite that every store passes. What it
// asks for is the contract in package storage, one sentence per test.
//
// It is not about what only one store does (locks, files, several processes):
// that lies with the store. Appends in flight when a Recover comes may end either
// way; what the suite holds a store to is that everything acknowledged is inside
// the recovered length, and that nothing is ever added behind it.
package storagetest
