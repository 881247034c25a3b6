package access

import (
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// pollInterval is the least time between two looks at a file, and so how long an
// old certificate or token may stay in force after its file has changed.
const pollInterval = time.Second

// stamp is what tells one version of a file from another.
type stamp struct {
	modified time.Time
	size     int64
	mode     os.FileMode
}

// watched is a value that is made of files, made anew when one of them changes,
// and until that succeeds.
type watched[T any] struct {
	paths  []string
	load   func() (T, error)
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex // guards the fields below
	value  T
	stamps []stamp
	looked time.Time
	// fault is why the last load failed; empty if it did not.
	fault string
}

// newWatched loads the value for the first time.
func newWatched[T any](logger *slog.Logger, load func() (T, error), paths ...string) (*watched[T], error) {
	w := &watched[T]{paths: paths, load: load, logger: logger, now: time.Now}
	// Before the load: a change in between is then seen as one.
	w.stamps, w.looked = w.stat(), w.now()
	var err error
	w.value, err = load()
	return w, err
}

// get returns the value, as of pollInterval ago at most.
func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if now.Sub(w.looked) < pollInterval {
		return w.value
	}
	w.looked = now
	stamps := w.stat()
	if slices.Equal(stamps, w.stamps) && w.fault == "" {
		return w.value
	}
	w.stamps = stamps
	value, err := w.load()
	if err != nil {
		if err.Error() != w.fault {
			w.logger.Warn("changed files can't be used, what was loaded before stays in force", "files", w.paths, "error", err)
		}
		w.fault = err.Error()
		return w.value
	}
	w.value, w.fault = value, ""
	w.logger.Info("changed files are in force", "files", w.paths)
	return w.value
}

// stat returns the zero stamp for a file that can't be looked at.
func (w *watched[T]) stat() []stamp {
	stamps := make([]stamp, len(w.paths))
	for i, path := range w.paths {
		if info, err := os.Stat(path); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size(), info.Mode()}
		}
	}
	return stamps
}
