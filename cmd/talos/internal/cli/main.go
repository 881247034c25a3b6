package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Main runs the program with its command line, the program's name first, and
// returns its exit code. SIGINT and SIGTERM end the
// command's context; a second one kills the process.
func Main(version string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
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
