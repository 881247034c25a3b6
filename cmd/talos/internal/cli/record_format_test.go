package cli

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
)

func printed(t *testing.T, f recordFormat, m *sdk.Message) string {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	require.NoError(t, f.write(w, m))
	require.NoError(t, w.Flush())
	return out.String()
}

func TestRecordFormat(t *testing.T) {
	full := &sdk.Message{
		Topic: "logs", Partition: 3, Offset: 1234,
		Record: talos.Record{
			Key: []byte("k\xff"), Value: []byte("va\nlue"), Timestamp: time.UnixMilli(1_700_000_000_123),
			Headers: []talos.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "c", Value: []byte{}}},
		},
	}
	bare := &sdk.Message{Topic: "logs", Record: talos.Record{Timestamp: time.UnixMilli(-1)}}
	empty := &sdk.Message{Record: talos.Record{Key: []byte{}, Value: []byte{}}}
	for _, test := range []struct {
		format string
		m      *sdk.Message
		want   string
	}{
		{`%t/%p@%o`, full, "logs/3@1234"},
		{`%k=%s\n`, full, "k\xff=va\nlue\n"},
		{`%K %S`, full, "2 6"},
		{`%T`, full, "1700000000123"},
		{`[%h]`, full, "[a=1,b,c=]"},
		{`%s%s`, full, "va\nlueva\nlue"},
		{`100%%\t\x41\\n\r\0é`, full, "100%\tA\\n\r\x00é"},
		{``, full, ""},
		{`%k|%s|%h|%K|%S|%T`, bare, "|||-1|-1|-1"},
		{`%k|%s|%K|%S`, empty, "||0|0"},
	} {
		f, err := parseRecordFormat(test.format)
		require.NoError(t, err, test.format)
		require.Equal(t, test.want, printed(t, f, test.m), test.format)
	}
}

// The message names what can't be used.
func TestRecordFormatRefuses(t *testing.T) {
	for format, want := range map[string]string{
		`%`:     "a verb is missing",
		`%s%`:   "a verb is missing",
		`%x`:    `no verb "%x"`,
		`%é`:    `no verb "%é"`,
		`\`:     "something is missing",
		`\q`:    `no escape "\\q"`,
		`\x`:    `no escape "\\x"`,
		`\x4`:   `no escape "\\x"`,
		`\xzz`:  `no escape "\\x"`,
		`a\x+1`: `no escape "\\x"`,
	} {
		_, err := parseRecordFormat(format)
		require.ErrorContains(t, err, want, format)
	}
}

func TestFormatHelpListsWhatIsParsed(t *testing.T) {
	for _, v := range formatVerbs {
		_, err := parseRecordFormat("%" + string(v.verb))
		require.NoError(t, err)
		require.Contains(t, formatHelp(), "  %"+string(v.verb)+"  ")
	}
}

// Any text survives once its escapes are escaped, and no format breaks printing.
func FuzzRecordFormat(f *testing.F) {
	for _, seed := range []string{`%t %p %o %k %K %s %S %h %T\n`, `\x00%%`, `%`, `\`, `\x4`, "é%é"} {
		f.Add(seed)
	}
	m := &sdk.Message{Topic: "t", Record: talos.Record{Value: []byte("v"), Headers: []talos.Header{{Key: "h"}}}}
	escape := strings.NewReplacer(`\`, `\\`, "%", "%%")
	f.Fuzz(func(t *testing.T, format string) {
		text, err := parseRecordFormat(escape.Replace(format))
		require.NoError(t, err)
		require.Equal(t, format, printed(t, text, m))
		if parsed, err := parseRecordFormat(format); err == nil {
			printed(t, parsed, m)
		}
	})
}
