package sdk_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/sdk"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/talos/batch"
	"pgregory.net/rapid"
)

// passing are faults that pass by themselves.
var passing = map[string]fault{
	"good":             {},
	"lost":             {lose: errGone},
	"mute":             {mute: true},
	"cut":              {cut: true},
	"queue full":       {err: talos.QueueFull},
	"not serving":      {err: talos.NotServing},
	"corrupt":          {err: talos.CorruptBatch},
	"store away":       {err: talos.StoreUnavailable},
	"stored or not":    {store: talos.StoreUnavailable},
	"not owner":        {err: &talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Epoch: 4}}},
	"stored elsewhere": {store: talos.NotOwner},
}

// lasting are faults that an application sees.
var lasting = map[string]fault{
	"refused":            {err: talos.InvalidBatch},
	"forgets":            {forgetOld: true},
	"forgets, then mute": {forgetOld: true, mute: true},
	"says corrupt":       {err: talos.CorruptSegment},
	"stored, but says":   {store: talos.Internal},
}

// plan is what a run does; it is drawn before the run's virtual time begins.
type plan struct {
	partitions int32
	faults     []fault
	delays     []time.Duration // before the node looks at a batch
	pauses     []time.Duration // behind each record
	opts       []sdk.ProducerOpt
}

func draw(t *rapid.T, faults map[string]fault) plan {
	script := rapid.SliceOfN(rapid.SampledFrom(keys(faults)), 0, 40).Draw(t, "script")
	millis := rapid.Map(rapid.IntRange(0, 40), func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond })
	p := plan{
		partitions: rapid.Int32Range(1, 3).Draw(t, "partitions"),
		delays:     rapid.SliceOfN(millis, len(script), len(script)).Draw(t, "delays"),
		pauses:     rapid.SliceOfN(rapid.OneOf(rapid.Just(time.Duration(0)), millis), 1, 100).Draw(t, "pauses"),
		opts: []sdk.ProducerOpt{
			sdk.ProducerMaxInFlight(rapid.IntRange(1, 5).Draw(t, "in flight")),
			sdk.ProducerCodec(rapid.SampledFrom([]batch.Codec{batch.None, batch.Snappy}).Draw(t, "codec")),
		},
	}
	for _, name := range script {
		p.faults = append(p.faults, faults[name])
	}
	return p
}

// script gives the node its faults; it must be called in the bubble of the run.
func (p plan) script(i int, _ batch.Header) fault {
	if i >= len(p.faults) {
		return fault{}
	}
	f := p.faults[i]
	if p.delays[i] > 0 {
		hold := make(chan struct{})
		time.AfterFunc(p.delays[i], func() { close(hold) })
		f.hold = hold
	}
	return f
}

// run sends records through a node, and returns what each was done with, per
// partition.
func (p plan) run(t *rapid.T, tt *testing.T) (*node, [][]result) {
	n := newNode(p.partitions)
	n.limits, n.script = talos.Limits{RecordBytes: 2_000}, p.script
	done := make([]results, p.partitions)
	var closed error
	synctest.Test(tt, func(tt *testing.T) {
		client, stop := n.serve(tt)
		defer stop()
		producer, err := client.NewProducer(tt.Context(), "logs", p.opts...)
		require.NoError(tt, err)
		for i, pause := range p.pauses {
			to := int32(i) % p.partitions
			done[to].send(tt, producer, to, numbered(i))
			<-time.After(pause)
		}
		closed = producer.Close(tt.Context())
	})
	all := make([][]result, p.partitions)
	failed := false
	for i := range all {
		all[i] = done[i].all()
		failed = failed || slices.ContainsFunc(all[i], func(r result) bool { return r.err != nil })
	}
	require.Equal(t, failed, closed != nil, "Close tells what its flush saw: %v", closed)
	requireSentOrder(t, all, len(p.pauses))
	return n, all
}

// requireSentOrder: done is called once for each record, in the order of Send.
func requireSentOrder(t require.TestingT, all [][]result, sent int) {
	seen := 0
	for p, list := range all {
		for i, r := range list {
			require.Equal(t, numbered(i*len(all)+p), r.value)
		}
		seen += len(list)
	}
	require.Equal(t, sent, seen)
}

// Through any mix of what passes by itself, every record is stored once, in
// order, at the offset that was told, and no error is seen.
func TestExactlyOnceInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, all := draw(rt, passing).run(rt, t)
		for p, list := range all {
			stored := n.stored(rt, int32(p))
			require.Len(rt, stored, len(list))
			for i, r := range list {
				require.NoError(rt, r.err)
				require.EqualValues(rt, i, r.delivery.Offset)
				require.Equal(rt, r.value, stored[i])
			}
		}
	})
}

// With faults that last, and with too little time, records fail. Then still: no
// record is stored twice, what was told as delivered is where it was told, in
// order, and what was told as not stored is not.
func TestErrorsAreHonest(t *testing.T) {
	faults := maps.Clone(passing)
	maps.Copy(faults, lasting)
	for name, timeout := range map[string]time.Duration{"enough time": time.Minute, "too little time": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				p := draw(rt, faults)
				p.opts = append(p.opts, sdk.ProducerDeliveryTimeout(timeout))
				n, all := p.run(rt, t)
				for i, list := range all {
					requireHonest(rt, n.stored(rt, int32(i)), list)
				}
			})
		})
	}
}

func requireHonest(t require.TestingT, stored []string, list []result) {
	at := make(map[string]int)
	for i, v := range stored {
		before, twice := at[v]
		require.False(t, twice, "%s is stored at %d and %d", v, before, i)
		at[v] = i
	}
	last := talos.Offset(-1)
	for _, r := range list {
		place, isStored := at[r.value]
		switch {
		case r.err == nil:
			require.True(t, isStored, "%s was delivered", r.value)
			require.EqualValues(t, place, r.delivery.Offset)
			require.Greater(t, r.delivery.Offset, last)
			last = r.delivery.Offset
		case strings.Contains(r.err.Error(), "it was not sent"), strings.Contains(r.err.Error(), "it was not stored"):
			require.False(t, isStored, "%s: %v", r.value, r.err)
		default:
			require.ErrorContains(t, r.err, "whether it was stored is unknown")
		}
	}
}

func keys(m map[string]fault) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
