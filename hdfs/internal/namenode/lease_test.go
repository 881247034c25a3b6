package namenode

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// renewals notes when the lease was renewed, in seconds since the start.
type renewals struct {
	begun time.Time

	mu   sync.Mutex // guards the fields below
	at   []int
	fail error
}

func (r *renewals) RenewLease(_ context.Context, clientName string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if clientName != "talos-1" {
		return errors.New("another client's")
	}
	r.at = append(r.at, int(time.Since(r.begun).Seconds()))
	return r.fail
}

func (r *renewals) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

func (r *renewals) seconds() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int(nil), r.at...)
}

func TestALeaseIsRenewedWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &renewals{begun: time.Now()}
		l := NewLease(r, "talos-1", slog.New(slog.DiscardHandler))
		defer l.Close()
		time.Sleep(time.Minute)
		require.Empty(t, r.seconds(), "nobody holds it")

		l.Hold()
		l.Hold()
		time.Sleep(30 * time.Second)
		l.Release()
		time.Sleep(25 * time.Second)
		require.Equal(t, []int{80, 100}, r.seconds(), "one still holds it")

		l.Release()
		time.Sleep(time.Minute)
		require.Equal(t, []int{80, 100}, r.seconds())

		l.Hold()
		time.Sleep(21 * time.Second)
		require.Len(t, r.seconds(), 3, "it may be held again")
		l.Release()
	})
}

func TestARenewalThatFailsIsRepeatedSoonAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &renewals{begun: time.Now(), fail: errors.New("no NameNode")}
		l := NewLease(r, "talos-1", slog.New(slog.NewTextHandler(&log, nil)))
		l.Hold()
		time.Sleep(24 * time.Second)
		r.set(nil)
		time.Sleep(25 * time.Second)
		require.Equal(t, []int{20, 23, 26, 46}, r.seconds())
		l.Close()
		require.Contains(t, log.String(), "lease not renewed")
		require.Contains(t, log.String(), "no NameNode")
	})
}

func TestCloseEndsTheRenewalsOfAHeldLease(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		l := NewLease(&renewals{begun: time.Now()}, "talos-1", slog.New(slog.DiscardHandler))
		l.Hold()
		l.Close()
		l.Hold() // runs nothing anymore
		l.Release()
		l.Close()
	})
}
