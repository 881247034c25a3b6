package talos

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Error is the one error type that operators and clients see: what was done, to
// what, what went wrong. Only Kind is required. It is immutable once returned.
type Error struct {
	Kind Kind
	// Op names the operation, as package.Function: "partition.Append".
	Op string
	// Subject is what it was done to: a topic, "logs/3", a segment's id.
	Subject string
	// Detail says what is particular to this case.
	Detail string
	// Owner is set for NotOwner where the owner is known.
	Owner *Owner
	// Range is set for OffsetOutOfRange.
	Range *OffsetRange
	// Request is the call's name in the node's log; empty if there was no call.
	Request string
	// Cause is the error behind this one.
	Cause error
}

// Owner says who serves a partition.
type Owner struct {
	// Address is host:port of the node's RPC port; empty if nobody is known.
	Address string
	// Epoch is the highest epoch that is known.
	Epoch Epoch
}

// OffsetRange is what can be read: Start <= offset < End.
type OffsetRange struct {
	Start, End Offset
}

// String says it in words, also for an empty range.
func (r OffsetRange) String() string {
	if r.Start == r.End {
		return fmt.Sprintf("the partition is empty, its next offset is %d", r.End)
	}
	return fmt.Sprintf("offsets %d to %d exist", r.Start, r.End-1)
}

// Error returns "op subject: text: detail: cause", leaving out what is empty.
func (e *Error) Error() string {
	var parts []string
	if head := strings.TrimSpace(e.Op + " " + e.Subject); head != "" {
		parts = append(parts, head)
	}
	parts = append(parts, e.Message())
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	return strings.Join(parts, ": ")
}

// Message says what happened without where: for people who did not ask for the
// operation's name.
func (e *Error) Message() string {
	text := e.Kind.Class().Text
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Owner != nil && e.Owner.Address != "" {
		text += fmt.Sprintf(": %s, epoch %d", e.Owner.Address, e.Owner.Epoch)
	}
	if e.Range != nil {
		text += ": " + e.Range.String()
	}
	if e.Request != "" && e.Kind == Internal {
		text += " (the node's log has it as request " + e.Request + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is(err, kind) work.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// KindOf returns the kind of the outermost Error in err's chain; Timeout and
// Canceled for the errors of a context; Internal for any other error.
func KindOf(err error) Kind {
	var e *Error
	var k Kind
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.As(err, &k):
		return k
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Canceled
	default:
		return Internal
	}
}

// Retryable tells whether the table allows to send the same request again.
func Retryable(err error) bool { return KindOf(err).Class().Retryable }
