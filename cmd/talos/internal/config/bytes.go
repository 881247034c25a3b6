package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a size, written as a number of bytes or with KiB, MiB or GiB.
type Bytes int

var units = []struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	for _, u := range units {
		if b != 0 && b%u.size == 0 {
			return fmt.Appendf(nil, "%d%s", b/u.size, u.name), nil
		}
	}
	return strconv.AppendInt(nil, int64(b), 10), nil
}

// textOf is b as it is written in a file.
func textOf(b Bytes) string {
	// It never fails.
	text, _ := b.MarshalText()
	return string(text)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, unit := string(text), Bytes(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > int64(1<<50/unit) {
		return fmt.Errorf("want bytes as a number, or with KiB, MiB or GiB: 64MiB")
	}
	*b = Bytes(n) * unit
	return nil
}
