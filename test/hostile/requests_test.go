package hostile_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	talosv1 "github.com/talos-log/talos/proto/talos/v1"
	"github.com/talos-log/talos/talos"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestFetchesThatLieAreRefusedByKind(t *testing.T) {
	s := newScene(t)
	id := s.topic.ID[:]
	other := talos.NewTopicID()
	tests := map[string]struct {
		partition *talosv1.FetchPartition
		want      talos.Kind
	}{
		"offset -1":              {&talosv1.FetchPartition{TopicId: id, Offset: -1}, talos.OffsetOutOfRange},
		"the least offset":       {&talosv1.FetchPartition{TopicId: id, Offset: math.MinInt64}, talos.OffsetOutOfRange},
		"the highest offset":     {&talosv1.FetchPartition{TopicId: id, Offset: math.MaxInt64}, talos.OffsetOutOfRange},
		"unknown topic":          {&talosv1.FetchPartition{TopicId: other[:]}, talos.UnknownTopic},
		"no topic":               {&talosv1.FetchPartition{}, talos.InvalidRequest},
		"a topic id of 17 bytes": {&talosv1.FetchPartition{TopicId: append(id[:16:16], 0)}, talos.InvalidRequest},
		"partition -1":           {&talosv1.FetchPartition{TopicId: id, Partition: -1}, talos.UnknownPartition},
		"partition 2^31-1":       {&talosv1.FetchPartition{TopicId: id, Partition: math.MaxInt32}, talos.UnknownPartition},
		"a negative limit":       {&talosv1.FetchPartition{TopicId: id, MaxBytes: -1}, talos.InvalidRequest},
		"an epoch nobody has":    {&talosv1.FetchPartition{TopicId: id, Epoch: math.MaxInt32}, talos.NotOwner},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response, err := s.log.Fetch(t.Context(), &talosv1.FetchRequest{
				Partitions: []*talosv1.FetchPartition{test.partition}, MaxBytes: math.MaxInt32, MinBytes: math.MaxInt32, MaxWaitMs: math.MaxInt32,
			})
			require.NoError(t, err)
			require.Len(t, response.GetPartitions(), 1)
			got := response.GetPartitions()[0]
			requireTyped(t, test.want, got.GetError())
			require.Empty(t, got.GetBatches())
			if test.want == talos.OffsetOutOfRange {
				require.NotNil(t, got.GetError().GetRange(), "it says what exists")
			}
		})
	}
}

func TestAbsurdLimitsAreCutOrRefused(t *testing.T) {
	s := newScene(t)
	fetch := func(edit func(*talosv1.FetchRequest)) (*talosv1.FetchResponse, error) {
		r := &talosv1.FetchRequest{Partitions: []*talosv1.FetchPartition{{TopicId: s.topic.ID[:]}}}
		edit(r)
		return s.log.Fetch(t.Context(), r)
	}
	for name, edit := range map[string]func(*talosv1.FetchRequest){
		"negative max_bytes":   func(r *talosv1.FetchRequest) { r.MaxBytes = -1 },
		"negative min_bytes":   func(r *talosv1.FetchRequest) { r.MinBytes = math.MinInt32 },
		"negative max_wait_ms": func(r *talosv1.FetchRequest) { r.MaxWaitMs = -1 },
		"100,000 partitions": func(r *talosv1.FetchRequest) {
			r.Partitions = make([]*talosv1.FetchPartition, 100_000)
			for i := range r.Partitions {
				r.Partitions[i] = &talosv1.FetchPartition{}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fetch(edit)
			require.Equal(t, string(talos.InvalidRequest), kindOf(err), "%v", err)
		})
	}
	t.Run("no partitions", func(t *testing.T) {
		response, err := fetch(func(r *talosv1.FetchRequest) { r.Partitions = nil })
		require.NoError(t, err)
		require.Empty(t, response.GetPartitions())
	})
	t.Run("the highest limits", func(t *testing.T) {
		response, err := fetch(func(r *talosv1.FetchRequest) { r.MaxBytes = math.MaxInt32 })
		require.NoError(t, err)
		require.Nil(t, response.GetPartitions()[0].GetError())
		require.NotEmpty(t, response.GetPartitions()[0].GetBatches())
	})
}

// Many fetches that would each wait for a minute, and ask for far more than
// there is, cost little, and nothing once their clients went away.
func TestFetchesThatWaitForeverAreHarmless(t *testing.T) {
	const waiting = 500
	s := newScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	for range waiting {
		group.Go(func() {
			_, err := s.log.Fetch(ctx, &talosv1.FetchRequest{
				Partitions: []*talosv1.FetchPartition{{TopicId: s.topic.ID[:], Partition: 1}},
				MaxBytes:   math.MaxInt32, MinBytes: math.MaxInt32, MaxWaitMs: math.MaxInt32,
			})
			if status.Code(err) != codes.Canceled {
				t.Errorf("want Canceled, got %v", err)
			}
		})
	}
	s.mustWork()
	cancel()
	group.Wait()
}

func TestOffsetsOfWhatIsNotThere(t *testing.T) {
	s := newScene(t)
	other := talos.NewTopicID()
	response, err := s.log.ListOffsets(t.Context(), &talosv1.ListOffsetsRequest{Partitions: []*talosv1.ListOffsetsPartition{
		{TopicId: other[:]},
		{TopicId: []byte("short")},
		{TopicId: s.topic.ID[:], Partition: -1},
		{TopicId: s.topic.ID[:], Epoch: math.MaxInt32},
		{TopicId: s.topic.ID[:]},
	}})
	require.NoError(t, err)
	want := []talos.Kind{talos.UnknownTopic, talos.InvalidRequest, talos.UnknownPartition, talos.NotOwner}
	require.Len(t, response.GetPartitions(), len(want)+1)
	for i, kind := range want {
		requireTyped(t, kind, response.GetPartitions()[i].GetError())
	}
	require.Nil(t, response.GetPartitions()[len(want)].GetError())

	_, err = s.log.ListOffsets(t.Context(), &talosv1.ListOffsetsRequest{Partitions: make([]*talosv1.ListOffsetsPartition, 100_000)})
	require.Equal(t, string(talos.InvalidRequest), kindOf(err), "%v", err)
}

func TestTopicsThatCannotBe(t *testing.T) {
	s := newScene(t)
	create := func(name string, partitions int32, c *talosv1.TopicConfig) error {
		_, err := s.admin.CreateTopic(t.Context(), &talosv1.CreateTopicRequest{Name: name, Partitions: partitions, Config: c})
		return err
	}
	for _, name := range []string{"", ".", "..", "a/b", "../../etc/passwd", "a\x00b", "ä", strings.Repeat("x", 250), strings.Repeat("x", 1<<20)} {
		require.Equal(t, string(talos.InvalidTopicName), kindOf(create(name, 1, nil)), "%.300q", name)
	}
	for _, partitions := range []int32{0, -1, math.MinInt32, talos.MaxPartitions + 1, math.MaxInt32} {
		require.Equal(t, string(talos.InvalidConfig), kindOf(create("t", partitions, nil)), "%d partitions", partitions)
	}
	for _, config := range []*talosv1.TopicConfig{{SegmentBytes: -1}, {SegmentBytes: 1}, {SegmentMs: math.MinInt64}, {SegmentMs: 1}, {Durability: 99}} {
		require.Equal(t, string(talos.InvalidConfig), kindOf(create("t", 1, config)), "%v", config)
	}
	require.Equal(t, string(talos.TopicExists), kindOf(create(string(topic), 1, nil)))
	_, err := s.admin.DeleteTopic(t.Context(), &talosv1.DeleteTopicRequest{Name: "nobody"})
	require.Equal(t, string(talos.UnknownTopic), kindOf(err))
	_, err = s.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: []string{"nobody"}})
	require.Equal(t, string(talos.UnknownTopic), kindOf(err))
	names := make([]string, 50_000)
	for i := range names {
		names[i] = string(topic)
	}
	_, err = s.admin.Metadata(t.Context(), &talosv1.MetadataRequest{Topics: names})
	if err != nil {
		require.Equal(t, string(talos.InvalidRequest), kindOf(err))
	}
	topics, err := s.admin.ListTopics(t.Context(), &talosv1.ListTopicsRequest{})
	require.NoError(t, err)
	require.Len(t, topics.GetTopics(), 1, "nothing was made")
}

// raw sends bytes where a message should be.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error { *v.(*[]byte) = b; return nil }
func (raw) Name() string                    { return "proto" }

func TestMessagesThatAreNone(t *testing.T) {
	rng := random(t)
	s := newScene(t)
	methods := []string{
		talosv1.Log_Fetch_FullMethodName, talosv1.Log_ListOffsets_FullMethodName, talosv1.Log_InitProducer_FullMethodName,
		talosv1.Admin_CreateTopic_FullMethodName, talosv1.Admin_Metadata_FullMethodName, talosv1.Admin_DeleteTopic_FullMethodName,
		talosv1.Log_Produce_FullMethodName,
		"/talos.v1.Log/Nothing", "/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/",
	}
	for _, method := range methods {
		for range 50 {
			in, out := randomBytes(rng, 1+rng.IntN(512)), []byte(nil)
			err := s.conn.Invoke(t.Context(), method, &in, &out, grpc.ForceCodec(raw{}))
			if err != nil {
				require.NotContains(t, []codes.Code{codes.Unknown, codes.Unavailable}, status.Code(err), "%s: %v", method, err)
			}
		}
	}
}
