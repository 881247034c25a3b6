package cli

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// timestampFormat is RFC 3339 to the millisecond.
const timestampFormat = "2006-01-02T15:04:05.000Z07:00"

// count says how many there are of something.
func count[N int | int32 | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// humanBytes writes a number of bytes for people, in units of 1024.
func humanBytes(bytes int64) string { return humanize.IBytes(uint64(max(0, bytes))) }

// age writes a duration without the units that are zero behind the last one that
// is not: 24h, not 24h0m0s.
func age(d time.Duration) string {
	switch {
	case d == 0 || d%time.Minute != 0:
		return d.String()
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d > time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
}

// orDash stands for what is not there.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
