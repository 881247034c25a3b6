// Package packaging installs Talos as `make install` does, in a test, and looks at
// what came of it. It has no code of its own.
package packaging
