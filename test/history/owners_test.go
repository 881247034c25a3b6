package history_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/history"
	"pgregory.net/rapid"
)

// under is an acknowledgement in partition 0.
func under(epoch talos.Epoch, offset talos.Offset) history.Ack {
	return history.Ack{Offset: offset, Epoch: epoch}
}

// story sends records of one producer to partition 0, all at once or one after the
// other, and acknowledges them.
func story(oneByOne bool, acks ...history.Ack) *history.History {
	h := history.New()
	for i := range acks {
		id := history.ID{Sequence: i}
		h.Send(id, 0, content(i))
		if oneByOne {
			h.Acked(id, acks[i])
		}
	}
	for i := range acks {
		id := history.ID{Sequence: i}
		if !oneByOne {
			h.Acked(id, acks[i])
		}
		h.Read(final, 0, talos.Offset(i), id, content(i))
	}
	return h
}

func TestOwnersThatTakeTurns(t *testing.T) {
	for _, oneByOne := range []bool{true, false} {
		require.Empty(t, story(oneByOne, under(1, 0), under(1, 1), under(3, 2), under(4, 3)).Check(final))
	}
	again := under(3, 1)
	again.Duplicate = true
	require.Empty(t, story(false, under(1, 0), again, under(1, 2), under(3, 3)).Check(final),
		"the new owner answers for what the old one has stored")
	require.Empty(t, story(true, history.Ack{Offset: 0}, under(2, 1), history.Ack{Offset: 2}).Check(final), "epochs that are not known")
}

func TestOwnersThatDoNot(t *testing.T) {
	found := story(false, under(1, 0), under(3, 1), under(1, 2)).Check(final)
	require.Equal(t, []history.AnomalyKind{history.TwoOwners}, kinds(found), "the deposed one went on")

	h := story(false, under(1, 0), under(1, 1))
	other := history.ID{Producer: 1}
	h.Send(other, 0, content(9))
	h.Acked(other, under(2, 1))
	require.Contains(t, kinds(h.Check(final)), history.TwoOwners, "both at one offset")

	late := under(1, 2)
	late.Duplicate = true
	found = story(true, under(1, 0), under(3, 1), late).Check(final)
	require.Equal(t, []history.AnomalyKind{history.DeposedOwner}, kinds(found), "the deposed one answered")
}

// Whatever single acknowledgement gets an older epoch than another one that came
// before it was sent, Check finds it.
func TestAnyDeposedOwnerIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var acks []history.Ack
		epoch := talos.Epoch(2)
		for offset := range rapid.IntRange(2, 30).Draw(t, "records") {
			epoch += talos.Epoch(rapid.IntRange(0, 2).Draw(t, "raised"))
			acks = append(acks, under(epoch, talos.Offset(offset)))
		}
		require.Empty(t, story(true, acks...).Check(final))
		victim := rapid.IntRange(1, len(acks)-1).Draw(t, "victim")
		acks[victim].Epoch = acks[victim-1].Epoch - 1
		require.NotEmpty(t, story(true, acks...).Check(final))
	})
}

func TestOffsetsThatGoBackAreFound(t *testing.T) {
	ranges := func(start, end talos.Offset) talos.OffsetRange { return talos.OffsetRange{Start: start, End: end} }
	type told struct {
		talos.OffsetRange
		epoch talos.Epoch
	}
	for name, test := range map[string]struct {
		right bool
		told  []told
	}{
		"they rise":              {true, []told{{ranges(0, 0), 1}, {ranges(0, 1), 1}, {ranges(1, 2), 3}}},
		"the end goes back":      {false, []told{{ranges(0, 2), 1}, {ranges(0, 1), 2}}},
		"the start goes back":    {false, []told{{ranges(1, 2), 1}, {ranges(0, 2), 1}}},
		"a deposed owner":        {false, []told{{ranges(0, 1), 2}, {ranges(0, 2), 1}}},
		"beyond what is left":    {false, []told{{ranges(0, 3), 1}}},
		"as far as what is left": {true, []told{{ranges(0, 2), 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := story(true, under(1, 0), under(1, 1))
			h.Trim(0, 1)
			for _, o := range test.told {
				h.Range("observer", 0, o.OffsetRange, o.epoch)
			}
			h.Range("another", 0, ranges(0, 0), 1)
			require.Equal(t, len(test.told)+1, h.Ranges())
			if test.right {
				require.Empty(t, h.Check(final))
			} else {
				require.Equal(t, []history.AnomalyKind{history.OffsetsWentBack}, kinds(h.Check(final)))
			}
		})
	}
}

// A producer without an id does not send again: it must live with not knowing.
func TestRecordsWhoseOutcomeIsUnknown(t *testing.T) {
	first, second, third := history.ID{Sequence: 0}, history.ID{Sequence: 1}, history.ID{Sequence: 2}
	begin := func() *history.History {
		h := history.New()
		h.Send(first, 0, content(0))
		h.Unknown(first, errors.New("the connection broke"))
		h.Send(second, 0, content(1))
		h.Acked(second, under(1, 0))
		h.Read(final, 0, 0, second, content(1))
		return h
	}
	h := begin()
	require.Empty(t, h.Check(final), "it was not stored")
	h.Read(final, 0, 1, first, content(0))
	require.Empty(t, h.Check(final), "it was stored late")
	h.Read(final, 0, 2, first, content(0))
	require.Contains(t, kinds(h.Check(final)), history.Duplicate)

	h = begin()
	h.Send(third, 0, content(2))
	h.Refused(third, errors.New("no room"))
	require.Empty(t, h.Check(final))
	h.Read(final, 0, 1, third, content(2))
	require.Equal(t, []history.AnomalyKind{history.AbortedRead}, kinds(h.Check(final)))
}
