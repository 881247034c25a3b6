package namenode

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/talos-log/talos/hdfs/internal/rpc"
	"github.com/talos-log/talos/hdfs/internal/wire"
)

var deleted = reaction{answer: &wire.DeleteResponse{Result: proto.Bool(true)}}

// oneCall requires that all were one call of one client, sent again and again.
func oneCall(t *testing.T, all []seen) {
	t.Helper()
	for i, s := range all {
		require.Equal(t, all[0].id, s.id)
		require.Equal(t, all[0].client, s.client)
		require.Equal(t, all[0].req, s.req)
		require.Equal(t, int32(i), s.retry)
	}
}

func TestALostConnectionSendsTheSameCallAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 1, inTurn(reaction{hangUp: true}, deleted))
		done, err := c.Delete(t.Context(), "/a", false)
		require.NoError(t, err)
		require.True(t, done)
		require.Len(t, w.seen(), 2)
		oneCall(t, w.seen())

		_, err = c.Delete(t.Context(), "/a", false)
		require.NoError(t, err)
		require.NotEqual(t, w.seen()[1].id, w.seen()[2].id, "another call has another id")
	})
}

func TestAnAttemptWithoutAnswerIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 1, inTurn(reaction{silent: true}, deleted))
		begun := time.Now()
		_, err := c.Delete(t.Context(), "/a", false)
		require.NoError(t, err)
		require.Less(t, time.Since(begun), rpc.DefaultTimeout+time.Second)
		oneCall(t, w.seen())
	})
}

func TestTheActiveOneOfAPairIsFoundAndRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 2, func(s seen) reaction {
			if s.address == "nn1" {
				return thrown(standby, "Operation category WRITE is not supported in state standby")
			}
			return deleted
		})
		begun := time.Now()
		for range 2 {
			_, err := c.Delete(t.Context(), "/a", false)
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(begun), "the other one is asked without a pause")
		var asked []string
		for _, s := range w.seen() {
			asked = append(asked, s.address)
		}
		require.Equal(t, []string{"nn1", "nn2", "nn2"}, asked)
		oneCall(t, w.seen()[:2])
	})
}

func TestOneOfAPairThatIsStartingIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 2, func(s seen) reaction {
			if s.address == "nn1" {
				return thrown(retriable, "nn1: NameNode still not started")
			}
			return deleted
		})
		begun := time.Now()
		_, err := c.Delete(t.Context(), "/a", false)
		require.NoError(t, err)
		require.Zero(t, time.Since(begun))
		oneCall(t, w.seen())
	})
}

func TestADeadOneOfAPairIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 2, always(deleted))
		w.refuse["nn1"] = true
		for range 2 {
			_, err := c.Delete(t.Context(), "/a", false)
			require.NoError(t, err)
		}
		require.Equal(t, []string{"nn1", "nn2"}, w.dials)
	})
}

func TestRepetitionsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		react reaction
		is    []error
		took  time.Duration
		says  string
	}{
		"nobody answers":     {reaction{silent: true}, []error{ErrUnavailable, rpc.ErrTimeout}, totalTime, "for 20s: delete at nn"},
		"connections break":  {reaction{hangUp: true}, []error{ErrUnavailable, rpc.ErrLost}, totalTime, "connection lost"},
		"both are standby":   {thrown(standby, "no"), []error{ErrUnavailable, ErrStandby}, totalTime, "not the active one"},
		"the server is busy": {thrown(retriable, "too busy"), []error{ErrUnavailable}, totalTime, "too busy"},
		"one is starting": {
			thrown(retriable, "org.apache.hadoop.hdfs.server.namenode.SafeModeException: Cannot delete /a. Name node is in safe mode.\nIt is"),
			[]error{ErrSafeMode},
			safeModeTime,
			"Name node is in safe mode.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, w := start(t, 2, always(test.react))
				begun := time.Now()
				_, err := c.Delete(t.Context(), "/a", false)
				for _, one := range test.is {
					require.ErrorIs(t, err, one)
				}
				require.ErrorContains(t, err, test.says)
				require.NotErrorIs(t, err, errOutOfTime, "that alone would say nothing")
				require.GreaterOrEqual(t, time.Since(begun), test.took)
				require.LessOrEqual(t, time.Since(begun), test.took+pauseMost)
				oneCall(t, w.seen())
				require.Less(t, len(w.seen()), 60, "the pauses grow")
			})
		})
	}
}

func TestNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 1, always(deleted))
		w.refuse["nn1"] = true
		_, err := c.Delete(t.Context(), "/a", false)
		require.EqualError(t, err, "the NameNode can't be reached for 20s: delete at nn1: not sent: dial nn1: connection refused")
		require.ErrorIs(t, err, ErrUnavailable)
	})
}

func TestAContextEndsTheRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, 1, always(thrown(standby, "no")))
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, enough)
		defer cancel()
		begun := time.Now()
		_, err := c.Delete(ctx, "/a", false)
		require.Equal(t, 3*time.Second, time.Since(begun))
		require.ErrorIs(t, err, enough)
		require.ErrorIs(t, err, ErrStandby, "it says what it was waiting for")
		require.NotErrorIs(t, err, ErrUnavailable)
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := start(t, 1, always(reaction{silent: true}))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.Delete(ctx, "/a", false)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestKerberosAndOtherServersEndACallAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := start(t, 2, always(thrown("org.apache.hadoop.security.AccessControlException", "SIMPLE authentication is not enabled.  Available:[KERBEROS]")))
		_, err := c.GetServerDefaults(t.Context())
		require.ErrorIs(t, err, rpc.ErrKerberos)
		require.Len(t, w.seen(), 1)
	})
}
