package cli

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
)

// The errors of the operating system that users run into say what to do.
func TestSystemHint(t *testing.T) {
	for _, err := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.EISDIR, syscall.ENOSPC} {
		require.NotEmpty(t, systemHint(err), err)
	}
	require.Empty(t, systemHint(errors.New("x")))
}

// What a client command failed with names the node that was asked, once, and the
// flag that helps; the kind stays, and so does the exit code.
func TestExplain(t *testing.T) {
	s := &settings{server: "nohost:7070"}
	require.NoError(t, s.explain(nil))
	for name, test := range map[string]struct {
		err        error
		text, hint string
	}{
		"a node that nobody finds": {
			&talos.Error{Kind: talos.Unavailable, Cause: errors.New("produced zero addresses")},
			"nohost:7070: the node can't be reached: produced zero addresses", talos.Unavailable.Class().Hint,
		},
		"a node that is named already": {
			&talos.Error{Kind: talos.Unavailable, Cause: errors.New("dial tcp nohost:7070: refused")},
			"the node can't be reached: dial tcp nohost:7070: refused", talos.Unavailable.Class().Hint,
		},
		"no time left": {
			&talos.Error{Kind: talos.Timeout, Subject: "logs", Cause: context.DeadlineExceeded},
			"logs: the time for this was up", "check the node's log and load, or allow more time with --timeout",
		},
		"anything else": {
			&talos.Error{Kind: talos.UnknownTopic, Subject: "logs"}, "logs: there is no such topic", talos.UnknownTopic.Class().Hint,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.explain(test.err)
			require.Equal(t, test.text, describe(got))
			require.Equal(t, test.hint, hint(got))
			require.Equal(t, exitCode(test.err), exitCode(got))
		})
	}
}
