package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantities(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                          "0s",
		24 * time.Hour:             "24h",
		90 * time.Minute:           "1h30m",
		time.Minute:                "1m",
		10 * time.Second:           "10s",
		61 * time.Second:           "1m1s",
		1500 * time.Millisecond:    "1.5s",
		time.Hour + 10*time.Second: "1h0m10s",
	} {
		require.Equal(t, want, age(d))
	}
	for n, want := range map[int64]string{0: "0 B", 229: "229 B", 1 << 20: "1.0 MiB", 256 << 20: "256 MiB", -1: "0 B"} {
		require.Equal(t, want, humanBytes(n))
	}
	require.Equal(t, "1 record", count(1, "record"))
	require.Equal(t, "0 records", count(0, "record"))
}
