// Package hostile holds the tests that send to a real node's ports what no Talos
// client sends: random bytes, other protocols, half a handshake, batches and
// requests that lie about themselves.
//
// Whatever comes in, the node answers what can be answered with a typed error of
// the table, does not panic, needs no more than a bounded amount of memory, and
// goes on serving others. Bad input at the command line is tested beside the
// command.
package hostile
