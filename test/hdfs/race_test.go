package hdfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/hadoop"
)

const (
	// racesAtOnce is how many writers of a kind are recovered at a time.
	racesAtOnce = 6
	// raceDelay is the most that a writer appends before that.
	raceDelay = 300 * time.Millisecond
	// raceLimit is where a recovery counts as one that does not end.
	raceLimit = 2 * time.Minute
	// mismatch is what a DataNode says of a replica whose writer was interrupted
	// between a packet and the note of it.
	mismatch = "Block length mismatch"
)

// A writer appends all the time, with several appends in flight, while another
// process recovers its segment: every recovery ends, and what was acknowledged is
// inside of the recovered length, and every replica takes part in it. The same if the
// writer is killed just before.
func TestAWriterIsRecoveredAtARandomMoment(t *testing.T) {
	cluster := running(t)
	mismatches := logged(t, cluster, mismatch)
	// When all of them are over.
	t.Cleanup(func() {
		require.Equal(t, mismatches, logged(t, cluster, mismatch), "a DataNode's replica is lost until it is restarted")
	})
	for _, durability := range []talos.Durability{talos.Sync, talos.Flush} {
		for _, killed := range []bool{false, true} {
			name := "goes on"
			if killed {
				name = "is killed"
			}
			t.Run(fmt.Sprintf("%s, %s", durability, name), func(t *testing.T) {
				// Recoveries mostly wait for heartbeats.
				t.Parallel()
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				random := rand.New(rand.NewPCG(seed, 0))
				r := race{root: cluster.StoreForTest(t), durability: durability, killed: killed}
				r.store = openStore(t, r.root)
				var rounds errgroup.Group
				rounds.SetLimit(racesAtOnce)
				for n := range hadoop.Rounds(10, 20) {
					delay := time.Duration(random.Int64N(int64(raceDelay)))
					rounds.Go(func() error {
						if err := r.round(t.Context(), fmt.Sprintf("round-%d", n), delay); err != nil {
							return fmt.Errorf("round %d, after %v: %w", n, delay, err)
						}
						return nil
					})
				}
				require.NoError(t, rounds.Wait())
				slices.Sort(r.took)
				t.Logf("recovered within %v (median) to %v", r.took[len(r.took)/2], r.took[len(r.took)-1])
			})
		}
	}
}

// race is the rounds of one kind.
type race struct {
	root       string
	durability talos.Durability
	killed     bool
	store      storage.Store

	mu   sync.Mutex // guards took
	took []time.Duration
}

func (r *race) round(ctx context.Context, name string, delay time.Duration) error {
	w, err := runWriter(r.root, life{name, never, r.durability})
	if w != nil {
		defer w.end()
	}
	if err != nil {
		return err
	}
	rest := make(chan error, 1)
	go func() {
		last, err := w.rest()
		switch {
		case r.killed:
			err = nil
		case err == nil && last.Error == "":
			err = errors.New("the writer sealed what was recovered")
		}
		rest <- err
	}()
	<-time.After(delay)
	if r.killed {
		if err := w.cmd.Process.Kill(); err != nil {
			return err
		}
	}
	limited, cancel := context.WithTimeout(ctx, raceLimit)
	defer cancel()
	begun := time.Now()
	id := storage.ID{Folder: writerFolder, Name: name}
	info, err := r.store.Recover(limited, id)
	took := time.Since(begun)
	if err := errors.Join(err, <-rest); err != nil {
		return err
	}
	r.mu.Lock()
	r.took = append(r.took, took)
	r.mu.Unlock()
	if info.Size < w.acked {
		return fmt.Errorf("%d bytes were acknowledged, %d recovered", w.acked, info.Size)
	}
	got, err := read(ctx, r.store, id)
	if err != nil {
		return err
	}
	if !bytes.Equal(appended(int(info.Size)), got) {
		return errors.New("what was recovered is not what was written")
	}
	return nil
}

// logged counts how often the DataNodes wrote something in their logs.
func logged(t *testing.T, c *hadoop.Cluster, text string) (n int) {
	t.Helper()
	for _, d := range c.DataNodes() {
		all, err := os.ReadFile(d.Log())
		require.NoError(t, err)
		n += bytes.Count(all, []byte(text))
	}
	return n
}
