package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

// place is a point in every partition of a topic, as --from and --until name it.
type place struct {
	kind   placeKind
	offset talos.Offset
	time   time.Time
}

type placeKind int

const (
	atEarliest placeKind = iota
	atLatest
	atOffset
	atTime
)

// placeForms is what a place may look like, for help texts and errors.
const placeForms = "an offset, a time (2026-11-25, 2026-11-25T14:30:00, 2026-11-25T14:30:00Z) or a time ago (-15m, -36h, -7d)"

// timeForms are tried in turn; those without a zone are local time.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly,
}

// parsePlace reads a place; now is what times ago are counted from, and whose zone
// is local.
func parsePlace(text string, now time.Time) (place, error) {
	switch text {
	case "earliest":
		return place{kind: atEarliest}, nil
	case "latest":
		return place{kind: atLatest}, nil
	}
	if back, ok := strings.CutPrefix(text, "-"); ok {
		ago, err := parseAgo(back)
		if err != nil {
			return place{}, err
		}
		return place{kind: atTime, time: now.Add(-ago)}, nil
	}
	if offset, err := strconv.ParseUint(text, 10, 63); err == nil {
		return place{kind: atOffset, offset: talos.Offset(offset)}, nil
	}
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return place{kind: atTime, time: t}, nil
		}
	}
	return place{}, fmt.Errorf("want %s", placeForms)
}

// maxAgo keeps days from overflowing a duration.
const maxAgoDays = 36500

// parseAgo reads how long ago: a duration of Go, or days.
func parseAgo(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n <= maxAgoDays {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago <= 0 || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("-%s is no time ago: want -15m, -36h or -7d", text)
	}
	return ago, nil
}

// start is where a consumer begins that reads from here.
func (p place) start() sdk.Start {
	switch p.kind {
	case atLatest:
		return sdk.Latest
	case atOffset:
		return sdk.At(p.offset)
	case atTime:
		return sdk.AtTime(p.time)
	default:
		return sdk.Earliest
	}
}
