package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func TestParsePlace(t *testing.T) {
	zone := time.FixedZone("here", 2*60*60)
	now := time.Date(2026, 11, 25, 14, 30, 0, 0, zone)
	at := func(t time.Time) place { return place{kind: atTime, time: t} }
	for text, want := range map[string]place{
		"earliest":                      {kind: atEarliest},
		"latest":                        {kind: atLatest},
		"0":                             {kind: atOffset},
		"9223372036854775807":           {kind: atOffset, offset: 1<<63 - 1},
		"2026":                          {kind: atOffset, offset: 2026},
		"-15m":                          at(now.Add(-15 * time.Minute)),
		"-1h30m":                        at(now.Add(-90 * time.Minute)),
		"-7d":                           at(now.Add(-7 * 24 * time.Hour)),
		"2026-11-25":                    at(time.Date(2026, 11, 25, 0, 0, 0, 0, zone)),
		"2026-11-25T08:01":              at(time.Date(2026, 11, 25, 8, 1, 0, 0, zone)),
		"2026-11-25 08:01:02":           at(time.Date(2026, 11, 25, 8, 1, 2, 0, zone)),
		"2026-11-25T08:01:02Z":          at(time.Date(2026, 11, 25, 8, 1, 2, 0, time.UTC)),
		"2026-11-25T08:01:02.003+01:00": at(time.Date(2026, 11, 25, 7, 1, 2, 3_000_000, time.UTC)),
	} {
		got, err := parsePlace(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want.kind, got.kind, text)
		require.Equal(t, want.offset, got.offset, text)
		require.Truef(t, want.time.Equal(got.time), "%s: %s, want %s", text, got.time, want.time)
	}
	for _, text := range []string{
		"", "yesterday", "-", "-1", "-0", "-0m", "--15m", "-+15m", "-d", "-999999d", "15m", "9223372036854775808", "2026-13-01", "1e3", "+5", "5 ",
	} {
		_, err := parsePlace(text, now)
		require.Errorf(t, err, "%q", text)
	}
}

func TestPlaceIsAStart(t *testing.T) {
	now := time.Now()
	for want, p := range map[sdk.Start]place{
		sdk.Earliest:            {},
		sdk.Latest:              {kind: atLatest},
		sdk.At(talos.Offset(7)): {kind: atOffset, offset: 7},
		sdk.AtTime(now.Add(-1)): {kind: atTime, time: now.Add(-1)},
	} {
		require.Equal(t, want, p.start())
	}
}

// What is taken as a time ago lies in the past.
func FuzzParsePlace(f *testing.F) {
	for _, seed := range []string{"earliest", "-15m", "-7d", "2026-11-25", "12", "-99999999999h", "-106751d"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(text, now)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, p.offset, talos.Offset(0))
		if p.kind == atTime && text[0] == '-' {
			require.False(t, p.time.After(now), text)
		}
	})
}
