package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// lookEvery is how often a command that waits for the cluster asks a node.
const lookEvery = 300 * time.Millisecond

// withPatientClient runs f with a client, for as long as the command runs; f bounds
// each call with within.
func (s *settings) withPatientClient(cmd *cobra.Command, f func(context.Context, *sdk.Client) error) error {
	client, err := s.dial()
	if err != nil {
		return err
	}
	err = f(cmd.Context(), client)
	if closeErr := client.Close(); err == nil && closeErr != nil {
		return fmt.Errorf("closing the client: %w", closeErr)
	}
	return err
}

// within makes one call under the timeout of the command line.
func within[T any](ctx context.Context, s *settings, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return call(ctx)
}

// watched looks again and again until look says that it is done, or fails for
// longer than the timeout of the command line: a node that is away for a moment
// ends nothing. It returns ctx's error when that ends.
func (s *settings) watched(ctx context.Context, look func(context.Context) (done bool, err error)) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	good := time.Now()
	for {
		done, err := within(ctx, s, look)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			good = time.Now()
		case !talos.Retryable(err) || time.Since(good) > s.timeout:
			return err
		}
		if done {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stoppedError is the end of a command that somebody stopped while it waited: what
// stands, and how to go on.
func stoppedError(what, next string) error {
	return &hintedError{error: &talos.Error{Kind: talos.Canceled, Op: "cli", Detail: what}, hint: next}
}
