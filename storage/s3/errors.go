package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
)

// explain turns what the server answered, or that it did not, into an error of
// the table that says what to do. Errors of the contract, and that of a context
// which ended, stay what they are.
func (s *Store) explain(ctx context.Context, op, subject string, err error) error {
	return s.explainAs(ctx, talos.StoreUnavailable, op, subject, err)
}

// explainAs is explain where refused is the kind for what the server will refuse
// until somebody changes a setting.
func (s *Store) explainAs(ctx context.Context, refused talos.Kind, op, subject string, err error) error {
	var known *talos.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case isContract(err):
		return fmt.Errorf("s3: %s %s: %w", op, subject, err)
	case ctx.Err() != nil:
		return fmt.Errorf("s3: %s %s: %w", op, subject, errors.Join(context.Cause(ctx), err))
	}
	e := &talos.Error{Kind: talos.StoreUnavailable, Op: "s3: " + op, Subject: subject, Cause: err}
	var answer minio.ErrorResponse
	var unanswered *url.Error
	switch {
	case errors.As(err, &answer):
		if detail := s.advice(answer); detail != "" {
			e.Kind, e.Detail = refused, detail
		}
	case errors.As(err, &unanswered):
		e.Detail = fmt.Sprintf("%s does not answer: check that the server runs, and the endpoint of the --store URL, http or https included", s.endpoint)
	}
	return e
}

func isContract(err error) bool {
	for _, known := range []error{storage.ErrExists, storage.ErrNotFound, storage.ErrDead, storage.ErrInvalid} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// advice says what to do about an answer that does not change by waiting; "" if
// it may.
func (s *Store) advice(answer minio.ErrorResponse) string {
	switch answer.Code {
	case minio.NoSuchBucket:
		return fmt.Sprintf("there is no bucket %q at %s: create it (aws s3 mb s3://%s, or mc mb), or correct the --store URL", s.bucketName(), s.endpoint, s.bucketName())
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
		return fmt.Sprintf("%s does not take the credentials: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the credentials file", s.endpoint)
	case minio.AccessDenied:
		return fmt.Sprintf("the credentials may not do that: they need s3:ListBucket on the bucket %q, and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it", s.bucketName())
	case "AuthorizationHeaderMalformed", "PermanentRedirect", minio.InvalidRegion, "IllegalLocationConstraintException":
		return fmt.Sprintf("the bucket %q is not in the region %q (the server says %q): set region in the --store URL, or AWS_REGION", s.bucketName(), s.region, answer.Region)
	case "RequestTimeTooSkewed":
		return "this machine's clock and the server's differ too much: set them right"
	}
	if answer.StatusCode == http.StatusNotImplemented {
		return "the server does not know a request that the store needs: use one that honours If-None-Match on PUT, as Amazon S3 and MinIO do"
	}
	return ""
}

// missing tells whether an object that was read is gone, or was overwritten by
// nothing.
func missing(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && (answer.Code == minio.NoSuchKey || answer.Code == minio.InvalidRange)
}

// check is what every call on a segment begins with.
func check(ctx context.Context, op string, id storage.ID) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("s3: %s %s: %w", op, id, err)
	}
	if err := id.Validate(); err != nil {
		return fmt.Errorf("s3: %s: %w", op, err)
	}
	return nil
}
