package load

import (
	"context"
	"time"
)

// pace lets a producer go on so many times in a second.
type pace struct {
	ticker *time.Ticker // nil: it does not wait
}

func newPace(rate int) pace {
	if rate == 0 {
		return pace{}
	}
	return pace{time.NewTicker(time.Second / time.Duration(rate))}
}

func (p pace) stop() {
	if p.ticker != nil {
		p.ticker.Stop()
	}
}

// wait tells whether the producer may go on; false once it shall stop.
func (p pace) wait(ctx context.Context, stopping <-chan struct{}) bool {
	if p.ticker == nil {
		select {
		case <-stopping:
			return false
		default:
			return ctx.Err() == nil
		}
	}
	select {
	case <-stopping:
		return false
	case <-ctx.Done():
		return false
	case <-p.ticker.C:
		return true
	}
}
