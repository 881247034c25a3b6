package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// maxMessageBytes bounds an error's message, so that the size of an answer with
// many of them is known.
const maxMessageBytes = 1 << 10

// requestID is the client's name of a call; empty if it gave none that may be
// logged.
func requestID(ctx context.Context) string {
	if stated := metadata.ValueFromIncomingContext(ctx, talos.RequestHeader); len(stated) > 0 && talos.ValidRequestID(stated[0]) {
		return stated[0]
	}
	return ""
}

// toProto makes the part of an answer that says what went wrong in a request.
func toProto(request string, err error) *talosv1.Error {
	kind := talos.KindOf(err)
	class := kind.Class()
	out := &talosv1.Error{
		Kind: string(kind), Code: int32(class.Code), Retryable: class.Retryable,
		Message: message(err), Hint: class.Hint, RequestId: request,
	}
	var e *talos.Error
	if !errors.As(err, &e) {
		out.Detail = clip(err.Error())
		return out
	}
	out.Detail = clip(join(e.Detail, causeOf(e)))
	if e.Owner != nil {
		out.OwnerAddress, out.OwnerEpoch = e.Owner.Address, int32(e.Owner.Epoch)
	}
	if e.Range != nil {
		out.Range = &talosv1.ErrorRange{Start: int64(e.Range.Start), End: int64(e.Range.End)}
	}
	return out
}

// message says what happened: the kind's text first, then subject, detail and
// causes. Names of our functions stay in the log.
func message(err error) string {
	var e *talos.Error
	if !errors.As(err, &e) {
		return clip(talos.KindOf(err).Class().Text + ": " + err.Error())
	}
	told := *e
	told.Detail = join(e.Subject, e.Detail)
	return clip(join(told.Message(), causeOf(e)))
}

func causeOf(e *talos.Error) string {
	if e.Cause == nil {
		return ""
	}
	return e.Cause.Error()
}

// join puts together what is not empty.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}

func clip(s string) string {
	if len(s) > maxMessageBytes {
		s = s[:maxMessageBytes]
	}
	return strings.ToValidUTF8(s, "")
}

// toStatus makes the error of a whole call: the code from the table, with the
// typed error as a detail. Errors that are a status already stay as they are.
func toStatus(request string, err error) error {
	if err == nil {
		return nil
	}
	if isStatus(err) {
		return err
	}
	detail := toProto(request, err)
	s := status.New(codes.Code(uint32(detail.GetCode())), detail.GetMessage())
	with, detailErr := s.WithDetails(protoadapt.MessageV1Of(detail))
	if detailErr != nil {
		// Only a status OK or a message that can't be encoded ends here; the code
		// and the text still tell what happened.
		return s.Err()
	}
	return with.Err()
}

// isStatus tells whether the error comes from gRPC itself.
func isStatus(err error) bool {
	var e *talos.Error
	_, ok := status.FromError(err)
	return ok && !errors.As(err, &e)
}

func invalidRequest(op, format string, args ...any) error {
	return &talos.Error{Kind: talos.InvalidRequest, Op: op, Detail: fmt.Sprintf(format, args...)}
}

// topicID takes a topic's id out of a request.
func topicID(b []byte) (talos.TopicID, error) {
	var id talos.TopicID
	if len(b) != len(id) {
		return id, invalidRequest("server.topicID", "a topic id has %d bytes, not %d", len(id), len(b))
	}
	copy(id[:], b)
	return id, nil
}
