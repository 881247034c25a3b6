package endurance_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// recordBytes is the length of a record's value.
const recordBytes = 16 << 10

// value is that of record number n: the same each time, and another one for each n.
func value(n int64) []byte {
	b := make([]byte, recordBytes)
	state := uint64(n)*0x9e3779b97f4a7c15 + 1
	for i := 0; i < len(b); i += 8 {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		binary.LittleEndian.PutUint64(b[i:], state)
	}
	binary.LittleEndian.PutUint64(b, uint64(n))
	return b
}

// ledger is what a producer was told.
type ledger struct {
	mu sync.Mutex // guards all below
	// numbers are, by partition and offset, the records that were acknowledged, plus
	// one: 0 stands for none.
	numbers [][]int64
	acked   int64
	failed  error
	last    time.Time     // the newest acknowledgement
	stall   time.Duration // the longest time between two
	slowest time.Duration // the longest time from Send to an acknowledgement
}

func newLedger(partitions int32) *ledger {
	return &ledger{numbers: make([][]int64, partitions), last: time.Now()}
}

// done is told of a record's delivery.
func (l *ledger) done(n int64, sent time.Time, d sdk.Delivery, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = errors.Join(l.failed, fmt.Errorf("record %d: %w", n, err))
		return
	}
	now := time.Now()
	l.stall, l.last = max(l.stall, now.Sub(l.last)), now
	l.slowest = max(l.slowest, now.Sub(sent))
	l.acked++
	for int64(len(l.numbers[d.Partition])) <= int64(d.Offset) {
		l.numbers[d.Partition] = append(l.numbers[d.Partition], 0)
	}
	at := &l.numbers[d.Partition][d.Offset]
	if *at != 0 {
		l.failed = errors.Join(l.failed, fmt.Errorf("records %d and %d were both given offset %d of partition %d", *at-1, n, d.Offset, d.Partition))
	}
	*at = n + 1
}

// produce sends records at a steady rate, or as soon as it can when it is late, until
// stop is closed.
func (l *ledger) produce(ctx context.Context, p *sdk.Producer, bytesPerSecond int64, stop <-chan struct{}) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	begun := time.Now()
	for n := int64(0); ; {
		select {
		case <-stop:
			return p.Flush(ctx)
		case <-ticker.C:
		}
		for due := int64(time.Since(begun).Seconds() * float64(bytesPerSecond) / recordBytes); n < due; n++ {
			sent, number := time.Now(), n
			err := p.Send(ctx, int32(n%int64(p.Partitions())), talos.Record{Value: value(n), Timestamp: sent}, func(d sdk.Delivery, err error) {
				l.done(number, sent, d, err)
			})
			if err != nil {
				return err
			}
			select {
			case <-stop:
				return p.Flush(ctx)
			default:
			}
		}
	}
}

// maxMoves bounds how often the log starts may move while everything is read.
const maxMoves = 20

// check reads everything that is retained, and compares it with what was
// acknowledged. It returns how many records there were. It begins anew when
// retention lets something go meanwhile.
func (l *ledger) check(ctx context.Context, client *sdk.Client, topic talos.TopicName) (records int64, err error) {
	for range maxMoves {
		records, err = l.read(ctx, client, topic)
		if !errors.Is(err, talos.OffsetOutOfRange) {
			break
		}
	}
	return records, err
}

func (l *ledger) read(ctx context.Context, client *sdk.Client, topic talos.TopicName) (records int64, err error) {
	ranges, err := client.Offsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	consumer, err := client.NewConsumer(ctx, topic, sdk.ConsumerStart(sdk.Earliest))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, consumer.Close()) }()
	next, left := map[int32]talos.Offset{}, int64(0)
	for _, one := range ranges {
		if one.Err != nil {
			return 0, one.Err
		}
		if int64(one.Range.End) != int64(len(l.numbers[one.Partition])) {
			return 0, fmt.Errorf("partition %d ends at %d, and offsets below %d were acknowledged", one.Partition, one.Range.End, len(l.numbers[one.Partition]))
		}
		next[one.Partition] = one.Range.Start
		left += int64(one.Range.End - one.Range.Start)
	}
	for left > 0 {
		messages, err := consumer.Poll(ctx)
		if err != nil {
			return records, err
		}
		for i := range messages {
			m := &messages[i]
			if m.Offset != next[m.Partition] {
				return records, fmt.Errorf("partition %d: offset %d comes after %d", m.Partition, m.Offset, next[m.Partition]-1)
			}
			if n := l.numbers[m.Partition][m.Offset] - 1; n < 0 || !bytes.Equal(m.Value, value(n)) {
				return records, fmt.Errorf("partition %d, offset %d: it is not record %d, which was acknowledged there", m.Partition, m.Offset, n)
			}
			next[m.Partition]++
			records++
			left--
		}
	}
	return records, nil
}
