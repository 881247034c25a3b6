// Package cli is the command line of Talos: one file per command.
//
// It holds no logic of the log: client commands call the SDK, dev and server
// construct a node (cmd/talos/internal/node) and run it. What the program reads
// and writes:
//
//	stdout   data: records, tables, JSON
//	stderr   words: what was done, logs, errors ("talos: ..." and "hint: ...")
//	exit     see exitCodes
//
// docs/cli.md is generated from the help texts and from the types that -o json
// prints, docs/errors.md from the error table in package talos.
package cli
