// Package lines reads a stream of lines as records: byte for byte, in bounded
// memory.
//
// It is not bufio.Scanner, which drops carriage returns. Here a line ends at \n
// and nowhere else, and every other byte belongs to the record. A last line
// without \n is a line; an empty stream has none; an empty line is one.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// readAhead is how much is read at once, in bytes.
const readAhead = 64 << 10

// measureLimit bounds how far TooLongError looks for the end of its line, so
// that an endless line ends in an error as well.
const measureLimit = 64 << 20

// Reader reads lines. It is not for concurrent use.
type Reader struct {
	in     *bufio.Reader
	limit  int
	number int64
}

// NewReader reads lines of up to limit bytes, the \n not counted.
func NewReader(in io.Reader, limit int) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, readAhead), limit: limit}
}

// Number is the number of the line that Next returned last, from 1 on.
func (r *Reader) Number() int64 { return r.number }

// TooLongError says that a line exceeds the limit. The reader can't go on.
type TooLongError struct {
	Line  int64
	Limit int
	rest  *bufio.Reader
	seen  int64
}

// Error names the line.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("line %d has more than %d bytes", e.Line, e.Limit)
}

// Measure reads on to the end of the line, and tells its size in bytes; exact is
// false if the line goes on beyond what Measure is willing to read.
func (e *TooLongError) Measure() (size int64, exact bool) {
	for e.seen < measureLimit {
		part, err := e.rest.ReadSlice('\n')
		e.seen += int64(len(part))
		switch {
		case err == nil:
			return e.seen - 1, true
		case !errors.Is(err, bufio.ErrBufferFull):
			return e.seen, errors.Is(err, io.EOF)
		}
	}
	return e.seen, false
}

// Next returns the next line without its \n, in memory of its own. It ends with
// io.EOF, a *TooLongError, or the stream's own error; what was read of a line
// when the stream failed is not returned.
func (r *Reader) Next() ([]byte, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		text := bytes.TrimSuffix(part, []byte("\n"))
		if len(line)+len(text) > r.limit {
			r.number++
			tooLong := &TooLongError{Line: r.number, Limit: r.limit, rest: r.in, seen: int64(len(line) + len(part))}
			if err == nil {
				// Its end was read already: leave it to Measure.
				tooLong.seen--
				tooLong.rest = bufio.NewReader(bytes.NewReader([]byte("\n")))
			}
			return nil, tooLong
		}
		line = append(line, text...)
		switch {
		case err == nil:
			r.number++
			return notNil(line), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			r.number++
			return line, nil
		default:
			return nil, err
		}
	}
}

// notNil keeps an empty line from being no line: a record's nil value differs
// from an empty one.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
