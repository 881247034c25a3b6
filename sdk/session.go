package sdk

import (
	"context"
	"errors"
	"io"
	"sync"

	talosv1 "github.com/talos-log/talos/proto/talos/v1"
)

// session is one stream of Produce, from its opening until it breaks: a
// goroutine that receives, and one that sends.
type session struct {
	// send takes requests once the stream is open.
	send chan *talosv1.ProduceRequest
	// end breaks the stream.
	end context.CancelFunc
}

// run opens the stream and reports what happens to it: opened, any number of
// answers, and last what broke it. It ends soon after ctx.
func (s *session) run(ctx context.Context, log talosv1.LogClient, report func(event)) {
	ctx, cancel := context.WithCancelCause(ctx)
	stream, err := log.Produce(ctx)
	if err != nil {
		cancel(nil)
		report(streamBroken{err})
		return
	}
	report(streamOpened{})
	var sender sync.WaitGroup
	sender.Go(func() {
		// At io.EOF the stream is broken, and Recv knows why.
		if err := s.sendAll(ctx, stream); err != nil && !errors.Is(err, io.EOF) {
			cancel(err)
		}
	})
	for {
		answer, err := stream.Recv()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			cancel(nil)
			sender.Wait()
			report(streamBroken{err})
			return
		}
		report(answered{answer})
	}
}

func (s *session) sendAll(ctx context.Context, stream talosv1.Log_ProduceClient) error {
	for {
		select {
		case request := <-s.send:
			if err := stream.Send(request); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}
