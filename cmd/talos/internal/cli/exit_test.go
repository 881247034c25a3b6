package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/cmd/talos/internal/config"
	"github.com/talos-log/talos/talos"
)

func TestASecondSignalAborts(t *testing.T) {
	signals, calls, ended := make(chan os.Signal), make(chan string, 2), make(chan struct{})
	go func() {
		defer close(ended)
		obey(signals, func() { calls <- "end" }, func() { calls <- "abort" })
	}()
	signals <- syscall.SIGTERM
	require.Equal(t, "end", <-calls)
	require.Empty(t, calls)
	signals <- syscall.SIGTERM
	require.Equal(t, "abort", <-calls)
	<-ended
}

func TestReport(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		code int
		want string
	}{
		"no error": {nil, 0, ""},
		"a closed pipe": {
			fmt.Errorf("write: %w", syscall.EPIPE), 0, "",
		},
		"the command line": {
			&usageError{text: "unknown flag: --x", hint: "see `talos --help`"}, 2,
			"talos: unknown flag: --x\nhint: see `talos --help`\n",
		},
		"a kind with its subject, without the function's name": {
			&talos.Error{Kind: talos.UnknownTopic, Op: "sdk.Describe", Subject: "logs"}, 3,
			"talos: logs: there is no such topic\nhint: " + talos.UnknownTopic.Class().Hint + "\n",
		},
		"with causes, on one line": {
			&talos.Error{
				Kind: talos.StoreUnavailable, Op: "a.B",
				Cause: &talos.Error{Kind: talos.Timeout, Op: "c.D", Cause: errors.New("one\ntwo")},
			},
			4,
			"talos: the store can't be used: the time for this was up: one two\nhint: " + talos.StoreUnavailable.Class().Hint + "\n",
		},
		"wrapped": {
			fmt.Errorf("line 3: %w", &talos.Error{Kind: talos.RecordTooLarge, Op: "sdk.Send", Subject: "logs/0"}), 5,
			"talos: line 3: logs/0: the record is larger than the limit\nhint: " + talos.RecordTooLarge.Class().Hint + "\n",
		},
		"a deadline": {
			fmt.Errorf("waiting: %w", context.DeadlineExceeded), 4,
			"talos: waiting: context deadline exceeded\nhint: " + talos.Timeout.Class().Hint + "\n",
		},
		"advice of its own": {
			&hintedError{error: &talos.Error{Kind: talos.UndecodableBatch, Subject: "logs/1"}, hint: "go on behind it"}, 6,
			"talos: logs/1: a record batch can't be decoded\nhint: go on behind it\n",
		},
		"all faults of a configuration": {
			config.Faults{errors.New("a.yaml:1: one"), errors.New("two")},
			5,
			"talos: the configuration has 2 faults:\n  a.yaml:1: one\n  two\nhint: " + talos.InvalidConfig.Class().Hint + "\n",
		},
		"gRPC's wrapping says nothing": {
			&talos.Error{
				Kind:  talos.Unavailable,
				Cause: errors.New(`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`),
			},
			4, "talos: the node can't be reached: dial tcp 127.0.0.1:1: connect: connection refused\nhint: " + talos.Unavailable.Class().Hint + "\n",
		},
		"a context's error says nothing more": {
			&talos.Error{Kind: talos.Timeout, Subject: "logs", Cause: context.DeadlineExceeded}, 4,
			"talos: logs: the time for this was up\nhint: " + talos.Timeout.Class().Hint + "\n",
		},
		"what is told twice": {
			&talos.Error{
				Kind: talos.StoreUnavailable, Subject: "/data",
				Cause: &talos.Error{Kind: talos.StoreUnavailable, Subject: "/data", Cause: errors.New("broken")},
			},
			4, "talos: /data: the store can't be used: broken\nhint: " + talos.StoreUnavailable.Class().Hint + "\n",
		},
		"a file": {
			fmt.Errorf("reading: %w", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}), 1,
			"talos: reading: open x: permission denied\nhint: this user may not: check owner and mode of the file or folder\n",
		},
		"an error from elsewhere has no hint": {
			errors.New("something else"), 1, "talos: something else\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var words strings.Builder
			report(&words, test.err)
			require.Equal(t, test.want, words.String())
			require.Equal(t, test.code, exitCode(test.err))
		})
	}
}
