package talos_test

import (
	"cmp"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"pgregory.net/rapid"
)

func TestSegmentNameGolden(t *testing.T) {
	name := talos.SegmentName{Number: 7, Epoch: 42, Base: 123456789}
	require.Equal(t, "a000000000007-0000000042-0000000000123456789", name.String())
}

func segmentNames() *rapid.Generator[talos.SegmentName] {
	return rapid.Custom(func(t *rapid.T) talos.SegmentName {
		return talos.SegmentName{
			Number: talos.SegmentNumber(rapid.Int64Range(1, 999_999_999_999).Draw(t, "number")),
			Epoch:  talos.Epoch(rapid.Int32Range(1, math.MaxInt32).Draw(t, "epoch")),
			Base:   talos.Offset(rapid.Int64Range(0, math.MaxInt64).Draw(t, "base")),
		}
	})
}

// Every name parses back, and names sort as what they name: a listing is in the
// order of the chain.
func TestSegmentNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := segmentNames().Draw(t, "a"), segmentNames().Draw(t, "b")
		parsed, err := talos.ParseSegmentName(a.String())
		require.NoError(t, err)
		require.Equal(t, a, parsed)
		want := cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Base, b.Base))
		require.Equal(t, want, strings.Compare(a.String(), b.String()))
	})
}

func TestParseSegmentNameIsStrict(t *testing.T) {
	for _, bad := range []string{
		"",
		"a",
		"b000000000007-0000000042-0000000000123456789",      // another format
		"a00000000007-0000000042-0000000000123456789",       // a digit too few
		"a0000000000007-0000000042-0000000000123456789",     // a digit too many
		"a000000000007-0000000042-0000000000123456789.tmp",  // something behind
		" a000000000007-0000000042-0000000000123456789",     // and before
		"a000000000007-0000000042-0000000000123456789\n",    //
		"a000000000000-0000000042-0000000000123456789",      // number 0
		"a000000000007-0000000000-0000000000123456789",      // epoch 0
		"a000000000007-2147483648-0000000000123456789",      // epoch above 31 bits
		"a000000000007-0000000042-9223372036854775808",      // offset above 63 bits
		"a+00000000007-0000000042-0000000000123456789",      // a sign
		"a-00000000007-0000000042-0000000000123456789",      //
		"a00000000000٧-0000000042-0000000000123456789",      // a digit that is not ASCII
		"a000000000007_0000000042_0000000000123456789",      // other separators
		"A000000000007-0000000042-0000000000123456789",      // a capital
		"a000000000007-0000000042-0000000000123456789/x",    // a path
		"../a000000000007-0000000042-0000000000123456789",   //
		"a000000000007-0000000042-0000000000123456789-0000", // another part
	} {
		_, err := talos.ParseSegmentName(bad)
		require.ErrorContains(t, err, "is not a segment's name", "%q", bad)
	}
}

func TestOffsetRangeInWords(t *testing.T) {
	require.Equal(t, "offsets 3 to 8 exist", talos.OffsetRange{Start: 3, End: 9}.String())
	require.Equal(t, "the partition is empty, its next offset is 9", talos.OffsetRange{Start: 9, End: 9}.String())
}
