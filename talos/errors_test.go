package talos_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/codes"
)

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  talos.Error
		want string
	}{
		{talos.Error{Kind: talos.UnknownTopic}, "there is no such topic"},
		{talos.Error{Kind: talos.UnknownTopic, Op: "sdk.Send", Subject: "logs/3"}, "sdk.Send logs/3: there is no such topic"},
		{talos.Error{Kind: talos.UnknownTopic, Subject: "logs"}, "logs: there is no such topic"},
		{
			talos.Error{Kind: talos.Timeout, Op: "x.Y", Detail: "after 2s", Cause: errors.New("disk")},
			"x.Y: the time for this was up: after 2s: disk",
		},
		{
			talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Address: "n2:7070", Epoch: 8}},
			"another node owns the partition: n2:7070, epoch 8",
		},
		{talos.Error{Kind: talos.NotOwner, Owner: &talos.Owner{Epoch: 8}}, "another node owns the partition"},
		{
			talos.Error{Kind: talos.OffsetOutOfRange, Range: &talos.OffsetRange{End: 4}},
			"there is no record at this offset: offsets 0 to 3 exist",
		},
	} {
		require.Equal(t, c.want, c.err.Error())
	}
}

func TestErrorsAreAskedByKind(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("around: %w", &talos.Error{Kind: talos.StoreUnavailable, Cause: fmt.Errorf("in: %w", cause)})
	require.ErrorIs(t, err, talos.StoreUnavailable)
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, err, talos.MetaUnavailable)
	require.ErrorIs(t, fmt.Errorf("around: %w", talos.Closed), talos.Closed, "a kind is an error itself")
}

func TestKindOf(t *testing.T) {
	inner := &talos.Error{Kind: talos.UnknownTopic}
	for _, c := range []struct {
		err  error
		want talos.Kind
	}{
		{inner, talos.UnknownTopic},
		{fmt.Errorf("x: %w", inner), talos.UnknownTopic},
		{&talos.Error{Kind: talos.NotServing, Cause: inner}, talos.NotServing},
		{fmt.Errorf("x: %w", talos.QueueFull), talos.QueueFull},
		{&talos.Error{Kind: talos.StoreUnavailable, Cause: context.Canceled}, talos.StoreUnavailable},
		{context.DeadlineExceeded, talos.Timeout},
		{fmt.Errorf("x: %w", context.Canceled), talos.Canceled},
		{errors.New("anything"), talos.Internal},
	} {
		require.Equal(t, c.want, talos.KindOf(c.err), "%v", c.err)
	}
}

// The table is what operators read and clients act by.
func TestTheTable(t *testing.T) {
	all := talos.Kinds()
	require.True(t, slices.IsSorted(all))
	for _, k := range all {
		class := k.Class()
		require.True(t, k.Known())
		require.Equal(t, class.Text, k.Error())
		require.NotEqual(t, codes.OK, class.Code, k)
		require.NotEmpty(t, class.Text, k)
		require.NotEmpty(t, class.Hint, "%s: say what to do", k)
		require.False(t, strings.HasSuffix(class.Text, ".") || strings.HasSuffix(class.Hint, "."), k)
		require.Equal(t, class.Retryable, talos.Retryable(&talos.Error{Kind: k}))
	}
	require.False(t, talos.Kind("Later").Known())
	require.Equal(t, talos.Internal.Class(), talos.Kind("Later").Class())
}

// Clients in other languages see the code alone: none that gRPC's own clients
// retry may stand for something that can't be sent again.
func TestCodesAgreeWithRetries(t *testing.T) {
	for _, k := range talos.Kinds() {
		if c := k.Class(); c.Code == codes.Unavailable || c.Code == codes.ResourceExhausted {
			require.True(t, c.Retryable, k)
		}
	}
}
