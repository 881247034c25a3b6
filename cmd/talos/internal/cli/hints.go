package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/talos"
)

// systemHint says what to do about an error of the operating system; the one table
// has none for them. Empty if nothing is known.
func systemHint(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "check the path; one without a / in front begins at the present folder"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not: check owner and mode of the file or folder"
	case errors.Is(err, syscall.EISDIR):
		return "name a file, not a folder"
	case errors.Is(err, syscall.ENOSPC):
		return "make room on that disk"
	default:
		return ""
	}
}

// explained wraps a client command: it checks the flags that all of them share, and
// its errors tell which node was asked and which flag helps.
func (s *settings) explained(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if s.timeout <= 0 {
			return &usageError{text: fmt.Sprintf("--timeout %s: want more than 0", s.timeout), hint: seeHelp(cmd)}
		}
		return s.explain(run(cmd, args))
	}
}

func (s *settings) explain(err error) error {
	if err == nil {
		return nil
	}
	address, _ := s.address()
	switch talos.KindOf(err) {
	case talos.Unavailable:
		if !strings.Contains(err.Error(), address) {
			return fmt.Errorf("%s: %w", address, err)
		}
	case talos.Timeout:
		var hinted *hintedError
		if !errors.As(err, &hinted) {
			return &hintedError{error: err, hint: "check the node's log and load, or allow more time with --timeout"}
		}
	}
	return err
}

// explainAll does that for cmd and all below it.
func (s *settings) explainAll(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		s.explainAll(sub)
	}
	if !cmd.HasSubCommands() {
		cmd.RunE = s.explained(cmd.RunE)
	}
}
