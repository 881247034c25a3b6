package s3_test

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/talos-log/talos/storage"
	"github.com/talos-log/talos/storage/s3"
	"github.com/talos-log/talos/test/minio"
)

var (
	seed   = flag.Uint64("races.seed", 0, "repeat the races of this seed; 0 draws one")
	rounds = flag.Int("races.rounds", 60, "how many races are run")
)

// Several nodes recover a segment while its owner appends, and requests of all of
// them get lost, before or after their effect.
func TestRecoveriesThatRaceWithAppends(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed: -races.seed=%d", *seed)
	u := minio.ForTest(t)
	for round := range *rounds {
		rnd := rand.New(rand.NewPCG(*seed, uint64(round)))
		r := race{
			t: t, at: u, id: storage.ID{Folder: "topic/0", Name: time.Unix(int64(round), 0).UTC().Format("150405")},
			node: openUnproved(t, u, faulting(rnd, rnd.IntN(3) == 0)), reader: openUnproved(t, u, nil),
			appends: 1 + rnd.IntN(60), startAfter: rnd.IntN(30), inFlight: 1 + rnd.IntN(20),
		}
		for range 1 + rnd.IntN(3) {
			r.others = append(r.others, openUnproved(t, u, faulting(rnd, rnd.IntN(3) == 0)))
		}
		if !r.run() {
			require.FailNow(t, "a race went wrong", "round %d of -races.seed=%d", round, *seed)
		}
	}
}

// openUnproved leaves the probe out, which takes longer than a race.
func openUnproved(t *testing.T, u *url.URL, h hook) *s3.Store {
	t.Helper()
	o := s3.Options{ReadOnly: true}
	if h != nil {
		o.Wrap = h.wrap
	}
	s, err := s3.Open(t.Context(), u, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// faulting loses some of the requests for chunks and seals behind the head.
func faulting(rnd *rand.Rand, active bool) hook {
	var mu sync.Mutex // guards own
	own := rand.New(rand.NewPCG(rnd.Uint64(), rnd.Uint64()))
	return func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		mu.Lock()
		which := own.IntN(20 * len(faults))
		mu.Unlock()
		if active && putsChunk(r) && which < len(faults) {
			return faults[which].hook(r, send)
		}
		return send()
	}
}

type race struct {
	t            *testing.T
	at           *url.URL
	id           storage.ID
	node, reader *s3.Store
	others       []*s3.Store

	appends, startAfter, inFlight int
}

// run returns false if a promise was broken.
func (r *race) run() bool {
	w := create(r.t, r.node, r.id)
	begin := make(chan struct{})
	var recoveries sync.WaitGroup
	sizes, after := make([]int64, len(r.others)), make([]int64, len(r.others))
	for i, s := range r.others {
		recoveries.Go(func() {
			<-begin
			sizes[i] = r.recover(s)
			after[i] = w.acknowledged()
		})
	}
	for n := range r.appends {
		if n == min(r.startAfter, r.appends-1) {
			close(begin)
		}
		w.completed(n - r.inFlight)
		w.append(1)
	}
	recoveries.Wait()
	w.all()
	ok := true
	final := w.acknowledged()
	for i, size := range sizes {
		ok = ok && size == sizes[0] && after[i] <= size
	}
	if final > sizes[0] || !ok {
		r.t.Errorf("recovered lengths %v, acknowledged then %v, in the end %d; objects: %v", sizes, after, final, keys(r.t, r.at))
		return false
	}
	w.append(3)
	for _, err := range w.all()[r.appends:] {
		require.Error(r.t, err)
	}
	require.Equal(r.t, string(w.sent[:sizes[0]]), string(read(r.t, r.reader, r.id)))
	return r.recover(r.reader) == sizes[0]
}

// recover tries until it succeeds: its own requests get lost as well.
func (r *race) recover(s *s3.Store) int64 {
	for {
		info, err := s.Recover(r.t.Context(), r.id)
		if err == nil {
			return info.Size
		}
		if r.t.Context().Err() != nil {
			return -1
		}
	}
}
