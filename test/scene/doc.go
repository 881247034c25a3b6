// Package scene sets up what the tests with real processes have in common: a
// node with one topic, producers and a reader that go on while things happen to
// it, and the comparison of what everybody saw at the end.
//
// It does not know what happens to the node: that is the test's.
package scene
