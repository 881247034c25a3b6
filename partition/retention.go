package partition

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"github.com/talos-log/talos/talos"
)

const (
	// retainInterval is the least time from one look for what has expired to the
	// next; up to as much again, another time for each partition, keeps them from
	// looking together.
	retainInterval = 30 * time.Second
	// retainRetry is how much longer the next look waits after a failed one.
	retainRetry = 5 * time.Minute
	// maxLearn bounds the segments whose age is read from the store in one go.
	maxLearn = 64
)

// retention is what the run goroutine knows of when to look for what has expired.
// An idle partition has one timer, for the moment when its oldest segment expires,
// and asks the store nothing until then.
type retention struct {
	// at is when to look; zero if there is nothing to wait for.
	at time.Time
	// looked is when that was done last, or a later time after a failure.
	looked time.Time
	// learning tells that the age of the oldest segments is being read.
	learning bool
	// spread is how much later than others the partition looks.
	spread time.Duration
}

// planRetention says when to look next. It never puts a look off that is planned:
// each roll plans anew, and a busy partition rolls more often than it looks.
func (l *Log) planRetention() {
	planned := l.retention.at
	l.retention.at = time.Time{}
	at := l.expiry(l.view.Load())
	if at.IsZero() || l.retention.learning {
		return
	}
	if least := l.retention.looked.Add(retainInterval); at.Before(least) {
		at = least
	}
	l.retention.at = at.Add(l.retention.spread)
	if !planned.IsZero() && planned.Before(l.retention.at) {
		l.retention.at = planned
	}
}

// spreadOf is the same for a partition whoever opens it, so that what a log does
// depends on nothing but what it is told.
func spreadOf(id talos.PartitionID) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id.String())) // it never fails
	return time.Duration(h.Sum64() % uint64(retainInterval))
}

// expiry is when the oldest segment can go; zero if there is no such time, and
// now if that must be found out.
func (l *Log) expiry(v *view) time.Time {
	keepFor, keepBytes := l.topic.Retention(), l.topic.RetentionBytes
	first := 0
	if len(v.chain) > 1 {
		first, _ = locate(v.chain, l.rec.Start.Offset, l.acked)
	}
	switch n := len(v.chain); {
	case n == 0 || n == 1 && (keepFor == 0 || v.chain[0].name.Base == l.acked):
		return time.Time{}
	case v.chain[0].name.Base < v.chain[first].name.Base:
		return time.Now() // records were deleted that a segment could not go with then
	case n > 1 && keepBytes > 0 && v.bytes()-l.sizeOf(v.chain[0]) >= keepBytes:
		return time.Now()
	case keepFor == 0:
		return time.Time{}
	}
	newest, known := l.newestIn(v.chain, 0)
	if !known {
		return time.Now()
	}
	return time.UnixMilli(newest).Add(keepFor)
}

// newestIn returns the append time in milliseconds of the newest record of a link,
// if it is known without asking the store.
func (l *Log) newestIn(chain []link, i int) (int64, bool) {
	if i == len(chain)-1 {
		return l.ackedTime(), true
	}
	return l.times.of(chain[i].name.Number)
}

// sizeOf is a link's size, also while it is written.
func (l *Log) sizeOf(in link) int64 {
	if l.active != nil && l.active.name == in.name {
		return l.active.end
	}
	return in.size
}

// retainIfDue moves the start over what has expired: whole segments, the oldest
// first, by the time at which their records were appended or by the bytes behind
// them. A client's timestamps have no say. An error ends the log.
func (l *Log) retainIfDue() error {
	if l.learned.Swap(false) {
		l.retention.learning = false
		l.retention.at = time.Now()
		if l.learnFailed.Swap(false) {
			l.retention.looked, l.retention.at = time.Now().Add(retainRetry), time.Time{}
			l.planRetention()
		}
	}
	if l.retention.at.IsZero() || time.Now().Before(l.retention.at) {
		return nil
	}
	l.retention.looked, l.retention.at = time.Now(), time.Time{}
	err, fatal := l.retain()
	if fatal != nil {
		return fatal
	}
	if err != nil {
		l.log.Warn("what has expired was not all let go, trying again later", "error", err)
		l.retention.looked, l.retention.at = time.Now().Add(retainRetry), time.Time{}
	}
	l.planRetention()
	return nil
}

func (l *Log) retain() (err, fatal error) {
	chain := l.view.Load().chain
	k := l.expired(chain)
	if k < len(chain)-1 {
		if k == 0 {
			return nil, nil
		}
		return l.moveStart(chain[k].name.Number, chain[k].name.Base)
	}
	if !l.newestExpired(chain) {
		return l.moveStart(chain[k].name.Number, chain[k].name.Base)
	}
	// The newest segment has the end and the producers' state, so an empty one that
	// repeats them takes its place, and needs nothing from then on.
	l.sealActive(sealForAge)
	if err := l.startSegment(); err != nil {
		if errors.As(err, &fatalError{}) {
			return nil, err
		}
		return err, nil
	}
	l.sealActive(sealForRetention)
	return l.moveStart(l.rec.Tail, l.acked)
}

// expired returns how many links of the chain have expired, but for the newest.
func (l *Log) expired(chain []link) int {
	keepFor, keepBytes := l.topic.Retention(), l.topic.RetentionBytes
	rest := l.view.Load().bytes()
	for k := range len(chain) - 1 {
		rest -= l.sizeOf(chain[k])
		if keepBytes > 0 && rest >= keepBytes || chain[k+1].name.Base <= l.rec.Start.Offset {
			continue
		}
		if keepFor == 0 {
			return k
		}
		newest, known := l.newestIn(chain, k)
		if !known {
			l.learnTimes()
			return k
		}
		if time.Since(time.UnixMilli(newest)) < keepFor {
			return k
		}
	}
	return max(0, len(chain)-1)
}

// newestExpired tells whether all records there are have expired, and nothing is
// on its way to follow them.
func (l *Log) newestExpired(chain []link) bool {
	keepFor := l.topic.Retention()
	return keepFor > 0 && len(chain) > 0 && len(l.inflight) == 0 && !l.inbox.waiting() && !l.inbox.isClosing() &&
		chain[len(chain)-1].name.Base < l.acked && time.Since(time.UnixMilli(l.lastTime)) >= keepFor
}

// learnTimes reads, in the background, the age of the oldest segments.
func (l *Log) learnTimes() {
	l.retention.learning = true
	v, keepFor := l.view.Load(), l.topic.Retention()
	l.inBackground(func() {
		ctx, cancel := context.WithTimeout(l.ctx, opTimeout)
		defer cancel()
		for i := range min(len(v.chain)-1, maxLearn) {
			newest, err := l.newestTime(ctx, v, i)
			if err != nil {
				if l.ctx.Err() == nil {
					l.log.Warn("the age of a segment can't be told, so it stays", "error", err, "segment", v.chain[i].name.String())
				}
				l.learnFailed.Store(true)
				break
			}
			if time.Since(time.UnixMilli(newest)) < keepFor {
				break
			}
		}
		l.learned.Store(true)
		l.inbox.wakeUp()
	})
}
