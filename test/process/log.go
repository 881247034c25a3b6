package process

import (
	"bytes"
	"fmt"
	"sync"
)

// maxWords bounds what is kept of a node's standard error, in bytes; the end
// tells more than the beginning. Up to twice as much is kept between two cuts.
const maxWords = 256 << 10

// log keeps the end of what is written to it.
type log struct {
	mu      sync.Mutex // guards the fields below
	text    []byte
	dropped int
}

// Write never fails.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if len(l.text) > 2*maxWords {
		over := len(l.text) - maxWords
		if end := bytes.IndexByte(l.text[over:], '\n'); end >= 0 {
			over += end + 1
		}
		l.text = append([]byte(nil), l.text[over:]...)
		l.dropped += over
	}
	return len(p), nil
}

// note adds a line of our own.
func (l *log) note(format string, args ...any) {
	// Write never fails.
	_, _ = fmt.Fprintf(l, format+"\n", args...)
}

// String returns what was kept.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 {
		return fmt.Sprintf("(%d bytes before)\n%s", l.dropped, l.text)
	}
	return string(l.text)
}
