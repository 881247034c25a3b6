package server

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc/metadata"
)

// logged is a log that a test looks at.
type logged struct {
	mu   sync.Mutex // guards text
	text []byte
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// The client's name of a call stands beside its error, in the answer and in the
// log; one that is not safe to log stands nowhere.
func TestRequestIDsLeadFromTheAnswerToTheLog(t *testing.T) {
	log := &logged{}
	n := newCluster().start(t, "n1", func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	named := func(id string) *talosv1.Error {
		ctx := metadata.AppendToOutgoingContext(t.Context(), talos.RequestHeader, id)
		_, err := n.admin.DeleteTopic(ctx, &talosv1.DeleteTopicRequest{Name: "nothing"})
		return detail(t, err)
	}
	require.Equal(t, "client-7", named("client-7").GetRequestId())
	require.Contains(t, log.String(), "request=client-7")
	require.Empty(t, named("two words").GetRequestId())
	require.NotContains(t, log.String(), "two words")
}
