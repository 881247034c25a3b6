package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"syscall"

	"github.com/talos-log/talos/cmd/talos/internal/lines"
	"github.com/talos-log/talos/talos"
)

// inputQueue is how many lines may wait between reading and sending.
const inputQueue = 16

type line struct {
	number int64
	text   []byte
	err    error
}

// parseHeaders reads what --header gives.
func parseHeaders(given []string) ([]talos.Header, error) {
	var headers []talos.Header
	for _, text := range given {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--header %q: want KEY=VALUE", text)
		}
		headers = append(headers, talos.Header{Key: key, Value: []byte(value)})
	}
	return headers, nil
}

// openInput opens a file for reading. A folder can be opened as well, and must be
// refused before anything else is done.
func openInput(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &os.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// inputSize is how many bytes there are to read; 0 if only the end will tell.
func inputSize(in io.Reader) int64 {
	file, ok := in.(*os.File)
	if !ok {
		return 0
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// readLines yields the lines of in until its end, an error (yielded last), or
// the end of ctx. Reading happens in a goroutine of its own, since a read of a
// terminal can't be interrupted: when ctx ends first, that goroutine ends with
// its read, or with the process.
func readLines(ctx context.Context, in io.Reader, limit int) iter.Seq[line] {
	queue := make(chan line, inputQueue)
	stop := make(chan struct{})
	go func() {
		defer close(queue)
		reader := lines.NewReader(in, limit)
		for {
			text, err := reader.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			select {
			case queue <- line{number: reader.Number(), text: text, err: err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return func(yield func(line) bool) {
		defer close(stop)
		for {
			select {
			case l, ok := <-queue:
				if !ok || !yield(l) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
