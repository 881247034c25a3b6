package faulty

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/talos-log/talos/storage"
)

// Op is a sort of call.
type Op string

// The sorts of calls that are counted and can fail. Reader.Size, Close and
// Appender.Abandon can't.
const (
	Create  Op = "create"
	Append  Op = "append"
	Seal    Op = "seal"
	Recover Op = "recover"
	Open    Op = "open"
	Read    Op = "read"
	List    Op = "list"
	Remove  Op = "remove"
)

// Call is what a hook is asked about.
type Call struct {
	Op Op
	// ID is the segment; for List only its Folder is set.
	ID storage.ID
	// N counts the calls of this sort on the store, from 1.
	N int
}

// Fault is what befalls a call; the zero Fault is none.
type Fault struct {
	// Before runs before the inner call, which is not made if it fails.
	Before Step
	// After runs after an inner call that succeeded; its error is the answer.
	After Step
	// Tear, for Append, hands only the first TornBytes of the append to the inner
	// store, and fails it, and with it the appender, when those are durable.
	Tear bool
	// TornBytes is at most the length of the append; more count as that.
	TornBytes int
}

// Hook decides what befalls a call. It may be called concurrently.
type Hook func(Call) Fault

// Step is one thing that happens before or after a call. The context is the
// call's; an append's ends when its appender is abandoned.
type Step func(ctx context.Context) error

// Fail fails the call.
func Fail(err error) Step {
	return func(context.Context) error { return err }
}

// Hang holds the call up until release is closed or its context ends.
func Hang(release <-chan struct{}) Step {
	return func(ctx context.Context) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Do calls a function, which may end the process, and goes on.
func Do(f func()) Step {
	return func(context.Context) error {
		f()
		return nil
	}
}

// Rule is a fault for the n-th call of a sort.
type Rule struct {
	Op Op
	// N is the call's number, from 1; 0 means each one.
	N     int
	Fault Fault
}

// Rules is the hook of a list of rules; the first that fits decides.
func Rules(rules ...Rule) Hook {
	return func(c Call) Fault {
		for _, r := range rules {
			if r.Op == c.Op && (r.N == 0 || r.N == c.N) {
				return r.Fault
			}
		}
		return Fault{}
	}
}

// ParseRule reads where a step goes: "before" or "after", the sort of call, its
// number; for example "before create 2". It is for flags and environments.
func ParseRule(text string, step Step) (Rule, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return Rule{}, fmt.Errorf("faulty: %q is not a place like \"before create 2\"", text)
	}
	r := Rule{Op: Op(fields[1])}
	switch fields[0] {
	case "before":
		r.Fault.Before = step
	case "after":
		r.Fault.After = step
	default:
		return Rule{}, fmt.Errorf("faulty: %q begins with neither \"before\" nor \"after\"", text)
	}
	switch r.Op {
	case Create, Append, Seal, Recover, Open, Read, List, Remove:
	default:
		return Rule{}, fmt.Errorf("faulty: %q has no known sort of call", text)
	}
	n, err := strconv.Atoi(fields[2])
	if err != nil || n < 1 {
		return Rule{}, fmt.Errorf("faulty: %q must end in a number from 1 on", text)
	}
	r.N = n
	return r, nil
}

// errTorn is what becomes of an append that was torn.
var errTorn = errors.New("faulty: the append was torn")
