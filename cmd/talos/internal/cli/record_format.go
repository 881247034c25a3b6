package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/talos-log/talos/sdk"
)

// recordFormat prints records as --format says: pieces of text, and verbs that
// stand for a part of the record. Its verbs are kcat's.
type recordFormat []piece

// piece is text, or a verb if that is not 0.
type piece struct {
	text []byte
	verb byte
}

// formatVerbs are the verbs, with what they print; help texts show it.
var formatVerbs = []struct {
	verb    byte
	meaning string
}{
	{'t', "topic"},
	{'p', "partition"},
	{'o', "offset"},
	{'k', "key"},
	{'K', "its length in bytes; -1 if there is none"},
	{'s', "value"},
	{'S', "its length in bytes; -1 if there is none"},
	{'h', "headers, as key=value,key=value; key alone if it has no value"},
	{'T', "timestamp, in milliseconds since 1970"},
	{'%', "a percent sign"},
}

// formatHelp lists the verbs, a line for each.
func formatHelp() string {
	var b strings.Builder
	for _, v := range formatVerbs {
		fmt.Fprintf(&b, "  %%%c  %s\n", v.verb, v.meaning)
	}
	return b.String()
}

// parseRecordFormat takes a format apart: verbs, and \n \t \r \0 \\ and \xHH.
func parseRecordFormat(s string) (recordFormat, error) {
	var (
		f    recordFormat
		text []byte
	)
	for i := 0; i < len(s); {
		switch s[i] {
		case '\\':
			b, n, err := unescape(s[i:])
			if err != nil {
				return nil, err
			}
			text = append(text, b)
			i += n
		case '%':
			verb, err := verbAt(s[i:])
			if err != nil {
				return nil, err
			}
			if verb == '%' {
				text = append(text, '%')
			} else {
				f = append(f, piece{text: text}, piece{verb: verb})
				text = nil
			}
			i += 2
		default:
			text = append(text, s[i])
			i++
		}
	}
	return append(f, piece{text: text}), nil
}

// verbAt returns the verb that s begins with.
func verbAt(s string) (byte, error) {
	if len(s) == 1 {
		return 0, errors.New("a verb is missing behind the last %; %% is a percent sign")
	}
	for _, v := range formatVerbs {
		if s[1] == v.verb {
			return v.verb, nil
		}
	}
	return 0, fmt.Errorf("there is no verb %q", "%"+firstRune(s[1:]))
}

// unescape returns the byte that the escape at the beginning of s stands for, and
// the length of the escape.
func unescape(s string) (b byte, n int, err error) {
	const plain, meant = `ntr0\`, "\n\t\r\x00\\"
	if len(s) == 1 {
		return 0, 0, errors.New(`something is missing behind the last \; \\ is a backslash`)
	}
	if i := strings.IndexByte(plain, s[1]); i >= 0 {
		return meant[i], 2, nil
	}
	if s[1] == 'x' && len(s) >= 4 {
		if v, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
			return byte(v), 4, nil
		}
	}
	return 0, 0, fmt.Errorf(`there is no escape %q; there are \n \t \r \0 \\ and \xHH`, `\`+firstRune(s[1:]))
}

// firstRune returns the first character of s, which is not empty.
func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}

// write prints one record. Errors stay with out until it is flushed.
func (f recordFormat) write(out *bufio.Writer, m *sdk.Message) error {
	var err error
	for _, p := range f {
		if p.verb == 0 {
			_, err = out.Write(p.text)
		} else {
			err = writeVerb(out, p.verb, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeVerb(out *bufio.Writer, verb byte, m *sdk.Message) error {
	var number int64
	switch verb {
	case 't':
		_, err := out.WriteString(string(m.Topic))
		return err
	case 'k':
		_, err := out.Write(m.Key)
		return err
	case 's':
		_, err := out.Write(m.Value)
		return err
	case 'h':
		return writeHeaders(out, m)
	case 'p':
		number = int64(m.Partition)
	case 'o':
		number = int64(m.Offset)
	case 'K':
		number = length(m.Key)
	case 'S':
		number = length(m.Value)
	case 'T':
		number = m.Timestamp.UnixMilli()
	}
	_, err := out.Write(strconv.AppendInt(out.AvailableBuffer(), number, 10))
	return err
}

func writeHeaders(out *bufio.Writer, m *sdk.Message) error {
	for i, h := range m.Headers {
		between := ""
		if i > 0 {
			between = ","
		}
		if _, err := out.WriteString(between + h.Key); err != nil {
			return err
		}
		if h.Value == nil {
			continue
		}
		if err := out.WriteByte('='); err != nil {
			return err
		}
		if _, err := out.Write(h.Value); err != nil {
			return err
		}
	}
	return nil
}

// length tells no bytes from none at all.
func length(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}
