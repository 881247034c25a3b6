package loadgen

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// graceShare is by which part of its duration a leg may send longer, so that
// records that were due at its very end are sent although timers are late.
const graceShare = 10

// Schedule says when the records of a leg are due, and when it ends.
type Schedule struct {
	Start    time.Time
	Rate     float64       // records per second; 0 is a closed loop: due at once
	Duration time.Duration // 0: no limit
	Records  int64         // the most that are sent
}

// due is when record i, from 0 on, must be sent; in an open loop.
func (s Schedule) due(i int64) time.Time {
	return s.Start.Add(time.Duration(float64(i) / s.Rate * float64(time.Second)))
}

// total is how many records an open loop sends if it keeps up.
func (s Schedule) total() int64 {
	if s.Duration == 0 {
		return s.Records
	}
	return min(s.Records, int64(math.Ceil(s.Rate*s.Duration.Seconds())))
}

// over tells whether nothing more is sent.
func (s Schedule) over(now time.Time) bool {
	end := s.Start.Add(s.Duration)
	if s.Rate > 0 {
		end = end.Add(s.Duration / graceShare)
	}
	return s.Duration > 0 && !now.Before(end)
}

// pace hands out the records of a schedule to producers: each takes the next one
// when it can send it.
type pace struct {
	Schedule
	taken atomic.Int64
}

// ticket is one record to send.
type ticket struct {
	number int64
	due    time.Time
	late   time.Duration // by how much it is sent after it was due
}

// next waits until the next record is due. It returns false when there is none,
// or ctx has ended.
func (p *pace) next(ctx context.Context) (ticket, bool) {
	now := time.Now()
	if ctx.Err() != nil || p.over(now) {
		return ticket{}, false
	}
	n := p.taken.Add(1) - 1
	if p.Rate == 0 {
		return ticket{number: n, due: now}, n < p.Records
	}
	if n >= p.total() {
		return ticket{}, false
	}
	due := p.due(n)
	if wait := due.Sub(now); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ticket{}, false
		}
	}
	return ticket{number: n, due: due, late: max(0, time.Since(due))}, true
}

// unsent is how many records were due and not sent, sent being those that were:
// the producers did not keep the rate.
func (p *pace) unsent(sent int64) int64 {
	if p.Rate == 0 {
		return 0
	}
	return p.total() - sent
}
