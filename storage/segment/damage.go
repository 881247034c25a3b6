package segment

import (
	"context"
	"errors"
	"fmt"

	"github.com/talos-log/talos/talos"
)

// flaw says in which way a frame can't be verified. What it means depends on
// where the frame lies; see loader.torn.
type flaw int

const (
	// cutHeader: the segment ends inside the frame's header.
	cutHeader flaw = iota
	// badHeader: what should be the frame's header is not intact.
	badHeader
	// cutFrame: the header is intact, and the segment ends inside the frame.
	cutFrame
	// badFrame: the header is intact, the frame has its full length, and its
	// checksum does not match.
	badFrame
	// wrong: the bytes are as they were written, but contradict what is known, or
	// are of a format that this version does not know. It is never a torn tail.
	wrong
)

// damage is a flaw at a position.
type damage struct {
	flaw   flaw
	pos    int64
	detail string
}

func wrongAt(pos int64, format string, args ...any) *damage {
	return &damage{flaw: wrong, pos: pos, detail: fmt.Sprintf(format, args...)}
}

// Error returns the detail of a talos.Error.
func (d *damage) Error() string { return fmt.Sprintf("at byte %d: %s", d.pos, d.detail) }

// newerVersion is how messages end when a newer format was met.
const newerVersion = "the segment was written by a newer version of Talos; update this one to read it"

// sourceError is a failed read.
type sourceError struct {
	pos int64
	err error
}

func (e *sourceError) Error() string { return fmt.Sprintf("reading at byte %d: %v", e.pos, e.err) }
func (e *sourceError) Unwrap() error { return e.err }

// failure turns what went wrong inside into what callers see. Errors of the
// caller's own functions pass unchanged.
func failure(op, id string, err error) error {
	var d *damage
	var s *sourceError
	switch {
	case errors.As(err, &d):
		return &talos.Error{Kind: talos.CorruptSegment, Op: op, Subject: id, Detail: d.Error()}
	case errors.As(err, &s):
		return sourceFailure(op, id, s)
	default:
		return err
	}
}

func sourceFailure(op, id string, s *sourceError) error {
	var known *talos.Error
	if errors.As(s, &known) || errors.Is(s, context.Canceled) || errors.Is(s, context.DeadlineExceeded) {
		return fmt.Errorf("%s %s: %w", op, id, s)
	}
	return &talos.Error{Kind: talos.StoreUnavailable, Op: op, Subject: id, Cause: s}
}
