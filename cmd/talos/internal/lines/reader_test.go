package lines_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/cmd/talos/internal/lines"
	"pgregory.net/rapid"
)

func readAll(t require.TestingT, in io.Reader, limit int) ([]string, error) {
	r := lines.NewReader(in, limit)
	all := []string{}
	for {
		line, err := r.Next()
		if err != nil {
			return all, err
		}
		require.NotNil(t, line)
		all = append(all, string(line))
		require.EqualValues(t, len(all), r.Number())
	}
}

func TestLinesAreKeptByteForByte(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"empty stream":         {"", []string{}},
		"one empty line":       {"\n", []string{""}},
		"no last newline":      {"a\nb", []string{"a", "b"}},
		"last newline":         {"a\nb\n", []string{"a", "b"}},
		"empty lines between":  {"\na\n\n\nb", []string{"", "a", "", "", "b"}},
		"carriage returns":     {"a\r\nb\rc\r\n\r", []string{"a\r", "b\rc\r", "\r"}},
		"invalid UTF-8":        {"\xff\xfe\n\xc3", []string{"\xff\xfe", "\xc3"}},
		"zero bytes":           {"\x00\n\x00\x00", []string{"\x00", "\x00\x00"}},
		"longer than a buffer": {long + "\n" + long, []string{long, long}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(t, strings.NewReader(test.in), 1<<20)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, test.want, got)
		})
	}
}

func TestLinesAreWhatSplitGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.SampledFrom([]byte("ab\r\n\n\xff"))).Draw(t, "in")
		want := strings.Split(string(in), "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		got, err := readAll(t, iotest.OneByteReader(bytes.NewReader(in)), 1<<20)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, want, got)
	})
}

func TestLineAboveTheLimit(t *testing.T) {
	const limit = 10
	for name, test := range map[string]struct {
		in    string
		size  int64
		exact bool
	}{
		"by one, at the end":      {"ok\n" + strings.Repeat("x", limit+1), limit + 1, true},
		"by one, in the middle":   {"ok\n" + strings.Repeat("x", limit+1) + "\nmore\n", limit + 1, true},
		"by several buffers":      {"ok\n" + strings.Repeat("x", 300<<10) + "\nmore\n", 300 << 10, true},
		"ends where a buffer did": {"ok\n" + strings.Repeat("x", 64<<10-3) + "\nmore\n", 64<<10 - 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(t, strings.NewReader(test.in), limit)
			require.Equal(t, []string{"ok"}, got, "what came before is returned")
			var tooLong *lines.TooLongError
			require.ErrorAs(t, err, &tooLong)
			require.EqualValues(t, 2, tooLong.Line)
			size, exact := tooLong.Measure()
			require.Equal(t, test.size, size)
			require.Equal(t, test.exact, exact)
		})
	}
}

func TestLineAtTheLimitPasses(t *testing.T) {
	got, err := readAll(t, strings.NewReader("1234567890\n1234567890"), 10)
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, got, 2)
}

// endless is a line that never ends.
type endless struct{ served int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.served += int64(len(p))
	return len(p), nil
}

func TestEndlessLine(t *testing.T) {
	in := &endless{}
	_, err := readAll(t, in, 1<<20)
	var tooLong *lines.TooLongError
	require.ErrorAs(t, err, &tooLong)
	require.Less(t, in.served, int64(2<<20), "no more than needed is read")

	_, exact := tooLong.Measure()
	require.False(t, exact)
	require.Less(t, in.served, int64(65<<20), "measuring ends as well")
}

func TestStreamFails(t *testing.T) {
	broken := errors.New("broken")
	got, err := readAll(t, io.MultiReader(strings.NewReader("a\nhalf"), iotest.ErrReader(broken)), 10)
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"a"}, got, "half a line is no line")
}
