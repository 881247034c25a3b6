package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Main runs the program with its command line, the program's name first, and
// returns its exit code. SIGINT and SIGTERM end the command's context; a second
// one ends the process at once, with exitAborted.
func Main(version string, args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go obey(signals, cancel, func() {
		_, _ = os.Stderr.WriteString("talos: ended at once by a second signal\n")
		os.Exit(exitAborted)
	})
	// Writing to a closed pipe is an error then, not the end of the process: a
	// node must survive the end of whoever read its log.
	signal.Ignore(syscall.SIGPIPE)

	root := newRoot(program{name: args[0], version: version})
	root.SetArgs(args[1:])
	root.SetIn(os.Stdin)
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	err := root.ExecuteContext(ctx)
	report(os.Stderr, err)
	return exitCode(err)
}

// obey calls end at the first signal and abort at the second.
func obey(signals <-chan os.Signal, end, abort func()) {
	<-signals
	end()
	<-signals
	abort()
}
