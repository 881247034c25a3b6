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
	// wrong: the bytes are as they were written, but contradict what is known. It
	// is never a torn tail.
	wrong
	// newer: the bytes are as they were written, in a format that this version must
	// understand and does not. It is no damage, and never a torn tail.
	newer
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

func newerAt(pos int64, format string, args ...any) *damage {
	return &damage{flaw: newer, pos: pos, detail: fmt.Sprintf(format, args...)}
}

// unreadableAt says that what a verified frame holds can't be read because of err.
func unreadableAt(pos int64, what string, err error) *damage {
	d := wrongAt(pos, "%s can't be read: %v", what, err)
	if errors.Is(err, errNewer) {
		d.flaw = newer
	}
	return d
}

// Error returns the detail of a talos.Error.
func (d *damage) Error() string { return fmt.Sprintf("at byte %d: %s", d.pos, d.detail) }

// errNewer is the cause where a section is of a newer format.
var errNewer = errors.New("written by a newer version of Talos")

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
		kind := talos.CorruptSegment
		if d.flaw == newer {
			kind = talos.NewerFormat
		}
		return &talos.Error{Kind: kind, Op: op, Subject: id, Detail: d.Error()}
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
