// Command talos is the log service's one binary: a node (dev, server) and the
// command line client.
package main

import (
	"os"

	"github.com/talos-log/talos/cmd/talos/internal/cli"
)

// version is set by the Makefile at link time.
var version = "dev"

func main() { os.Exit(cli.Main(version, os.Args)) }
