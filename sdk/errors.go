package sdk

import (
	"context"
	"errors"
	"fmt"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// callError makes a *talos.Error of what a call of gRPC returned, or of what was
// wrong with its answer.
func (c *Client) callError(ctx context.Context, op, subject string, err error) error {
	var own *talos.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return endError(ctx, op, subject, nil)
	case c.ctx.Err() != nil:
		return closedError(op)
	case errors.As(err, &own):
		told := *own
		told.Op, told.Subject = op, subject
		return &told
	default:
		return statusError(op, subject, err)
	}
}

// endError says that ctx ended, and what had gone wrong before, if anything.
func endError(ctx context.Context, op, subject string, last error) error {
	e := &talos.Error{Kind: talos.KindOf(ctx.Err()), Op: op, Subject: subject, Cause: ctx.Err()}
	if last != nil {
		e.Cause = fmt.Errorf("%w; before that: %w", ctx.Err(), last)
	}
	return e
}

// statusError makes a *talos.Error of gRPC's status: what the node put into it,
// or what its code says when the node had no part in it.
func statusError(op, subject string, err error) error {
	s := status.Convert(err)
	for _, detail := range s.Details() {
		if e, ok := detail.(*talosv1.Error); ok {
			return wireError(op, subject, e)
		}
	}
	var kind talos.Kind
	switch s.Code() {
	case codes.DeadlineExceeded:
		kind = talos.Timeout
	case codes.Unimplemented, codes.InvalidArgument, codes.ResourceExhausted, codes.OutOfRange:
		kind = talos.InvalidRequest
	case codes.Unauthenticated, codes.PermissionDenied:
		kind = talos.Unauthenticated
	default:
		// The rest is a connection that broke, in one of several wordings.
		return brokenConnection(op, subject, s.Message())
	}
	return &talos.Error{Kind: kind, Op: op, Subject: subject, Cause: errors.New(s.Message())}
}

// wireError is the inverse of what a node does with an error.
func wireError(op, subject string, w *talosv1.Error) error {
	e := &talos.Error{Kind: talos.Kind(w.GetKind()), Op: op, Subject: subject, Request: w.GetRequestId()}
	if w.GetOwnerAddress() != "" || w.GetOwnerEpoch() != 0 {
		e.Owner = &talos.Owner{Address: w.GetOwnerAddress(), Epoch: talos.Epoch(w.GetOwnerEpoch())}
	}
	if r := w.GetRange(); r != nil {
		e.Range = &talos.OffsetRange{Start: talos.Offset(r.GetStart()), End: talos.Offset(r.GetEnd())}
	}
	if !e.Kind.Known() {
		e.Kind = kindLike(w)
		e.Detail = fmt.Sprintf("%s (%s)", w.GetMessage(), w.GetKind())
		return e
	}
	e.Detail = w.GetDetail()
	return e
}

// kindLike stands for a kind that this version does not know: what matters is
// whether to send the request again, and then who is at fault.
func kindLike(w *talosv1.Error) talos.Kind {
	switch {
	case w.GetRetryable():
		return talos.Unavailable
	case w.GetCode() == int32(codes.InvalidArgument), w.GetCode() == int32(codes.FailedPrecondition):
		return talos.InvalidRequest
	case w.GetCode() == int32(codes.Canceled):
		return talos.Canceled
	default:
		return talos.Internal
	}
}
