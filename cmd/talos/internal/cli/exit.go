package cli

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"syscall"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/talos-log/talos/cmd/talos/internal/config"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/codes"
)

// The exit codes. They are a contract: scripts go by them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitUnavailable = 4
	exitRefused     = 5
	exitDamaged     = 6
	exitAborted     = 7
)

// exitCodes says what they mean; help texts and docs/cli.md show it.
func exitCodes() []string {
	return []string{
		exitOK:          "done",
		exitFailed:      "failed for a reason that has no code of its own",
		exitUsage:       "the command line can't be used: unknown command or flag, missing or wrong argument",
		exitNotFound:    "there is no such topic, partition or node",
		exitUnavailable: "the node, the store or etcd can't be reached or is too busy; trying again may help",
		exitRefused:     "refused: data or a setting breaks a limit, the node does not let the client in, an offset is out of range, a name or folder is taken, a node takes no partitions",
		exitDamaged:     "stored data is damaged",
		exitAborted:     "ended at once by a second SIGINT or SIGTERM, in the middle of ending in good order",
	}
}

// exitCodeOf maps the error table to exit codes, by the gRPC code of the kind.
func exitCodeOf(k talos.Kind) int {
	switch k.Class().Code {
	case codes.NotFound:
		return exitNotFound
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return exitUnavailable
	case codes.InvalidArgument, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange, codes.Unauthenticated:
		return exitRefused
	case codes.DataLoss:
		return exitDamaged
	default:
		return exitFailed
	}
}

// usageError is a fault of the command line.
type usageError struct {
	text string
	hint string
}

func (e *usageError) Error() string { return e.text }

// hintedError is an error with advice that fits better than the table's.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	default:
		return exitCodeOf(talos.KindOf(err))
	}
}

// report writes the error once, as one message and one hint. A reader that
// closed our output has seen enough: that is no error.
func report(w io.Writer, err error) {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return
	}
	p := paletteFor(w)
	words := p.paint("talos:", text.Bold, text.FgRed) + " "
	if faults := config.Faults(nil); errors.As(err, &faults) {
		words += faults.Summary() + ":\n"
		for _, fault := range faults {
			words += "  " + oneLine(fault.Error()) + "\n"
		}
	} else {
		words += oneLine(describe(err)) + "\n"
	}
	if h := hint(err); h != "" {
		words += p.paint("hint:", text.FgCyan) + " " + h + "\n"
	}
	// There is nobody left to tell if this fails.
	_, _ = io.WriteString(w, words)
}

// describe leaves out the names of Go functions that errors carry for logs.
func describe(err error) string {
	var hinted *hintedError
	if errors.As(err, &hinted) {
		return describe(hinted.error)
	}
	var e *talos.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	if outer := err.Error(); outer != e.Error() {
		return strings.Replace(outer, e.Error(), describe(e), 1)
	}
	if inner, ok := e.Cause.(*talos.Error); ok && e.Detail == "" && inner.Kind == e.Kind && inner.Subject == e.Subject { //nolint:errorlint // only what it wraps directly
		return describe(inner) // it says the same, and more
	}
	text := e.Message()
	if e.Subject != "" {
		text = e.Subject + ": " + text
	}
	if e.Cause != nil && e.Cause != context.DeadlineExceeded && e.Cause != context.Canceled { //nolint:errorlint // as such, they say it again
		text += ": " + describe(e.Cause)
	}
	return text
}

func hint(err error) string {
	var (
		usage  *usageError
		hinted *hintedError
		typed  *talos.Error
		kind   talos.Kind
	)
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &hinted):
		return hinted.hint
	case errors.As(err, &typed), errors.As(err, &kind), talos.KindOf(err) != talos.Internal:
		return talos.KindOf(err).Class().Hint
	default:
		return systemHint(err)
	}
}

// dialing is what gRPC wraps around the error of a connection.
var dialing = regexp.MustCompile(`connection error: desc = "(?:transport: Error while dialing: )?([^"]*)"`)

func oneLine(s string) string {
	return strings.Join(strings.Fields(dialing.ReplaceAllString(s, "$1")), " ")
}
