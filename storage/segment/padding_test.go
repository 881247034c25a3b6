package segment

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// In a store with chunks every append ends with one, but for the footer, behind
// which nothing follows. Nothing is copied for that.
func TestAppendsEndWithAChunk(t *testing.T) {
	const chunk = 512
	o := sealedIn(t, chunk)
	padded := 0
	for i, f := range o.written {
		switch f.frameType {
		case TypePadding:
			padded++
			require.Zero(t, f.end%chunk)
			require.Less(t, f.end-f.pos, int64(chunk+FrameOverhead))
		case TypeFooter:
			require.Len(t, o.written, i+1)
		default:
			next := o.written[i+1]
			require.True(t, f.end%chunk == 0 || next.frameType == TypePadding, "frame %d ends at %d", i, f.end)
		}
	}
	require.NotZero(t, padded)

	payload := o.batch([]string{"one"})
	buf := append(o.w.Buffer(len(payload)), payload...)
	at := o.at()
	at.Next++
	frame := o.w.Data(buf, at)
	require.Same(t, &buf[0], &frame[0])
}

// A header that nothing follows is one that was never written to.
func TestAHeaderIsFilledUpItself(t *testing.T) {
	o := newOwnerIn(t, testHeader(wideOpen), 512)
	require.Zero(t, len(o.bytes)%512)
	for size := range len(o.bytes) + 1 {
		content, err := Examine(t.Context(), &memory{bytes: o.bytes[:size]}, int64(size), testID)
		require.NoError(t, err)
		require.Equal(t, size == len(o.bytes), content.Begun)
		require.False(t, content.Used)
	}
	o.data([]string{"x"})
	content, err := Examine(t.Context(), &memory{bytes: o.bytes}, int64(len(o.bytes)), testID)
	require.NoError(t, err)
	require.True(t, content.Used)
}

// The gap before the end of a chunk may be too small for a frame, or exactly one.
func TestPaddingFitsEveryGap(t *testing.T) {
	for size := range 600 {
		o := newOwnerIn(t, testHeader(wideOpen), 512)
		o.data([]string{string(make([]byte, size))})
		require.Zero(t, o.w.Size()%512)
		l, _, err := load(o.bytes, LoadOptions{Ordered: true})
		require.NoError(t, err)
		require.Equal(t, o.w.Size(), l.End)
		require.Equal(t, o.meta.Next, l.Next)
	}
}
