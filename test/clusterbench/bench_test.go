package clusterbench

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/talos-log/talos/test/process"
)

var released process.Builder

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := released.Remove(); err != nil {
			panic(err)
		}
		os.Exit(code)
	}))
}

// One partition moves, in a cluster of three processes.
func TestTheProgramMeasures(t *testing.T) {
	binary, err := released.Binary()
	require.NoError(t, err)
	p := FullPlan()
	p.Binary, p.Only = binary, []string{"move"}
	p.Lease, p.WarmUp, p.Rate, p.Partitions, p.Moves = 2*time.Second, time.Millisecond, 500, 3, 2
	report, err := Run(t.Context(), p, t.Output())
	require.NoError(t, err)
	results := map[string]Result{}
	for _, r := range report.Results {
		results[r.Name] = r
	}
	require.Positive(t, results["pause, p99"].Value)
	require.True(t, results["errors at producers"].Met)

	var table, object bytes.Buffer
	require.NoError(t, report.WriteTable(&table))
	require.Regexp(t, `\| move \| local \| partitions moved \| 2 \|`, table.String())
	require.NoError(t, report.WriteJSON(&object))
	var again Report
	require.NoError(t, json.Unmarshal(object.Bytes(), &again))
	require.Equal(t, report.Results, again.Results)
}

func TestWhatCanNotBeMeasuredIsRefused(t *testing.T) {
	for says, alter := range map[string]func(*Plan){
		`there is no figure "moves", but move, drain, kill`: func(p *Plan) { p.Only = []string{"moves"} },
		`there is no store "x", but [local s3 hdfs]`:        func(p *Plan) { p.Stores = []StoreKind{Local, "x"} },
		"above 0": func(p *Plan) { p.Kills = 0 },
	} {
		p := FullPlan()
		alter(&p)
		_, err := Run(t.Context(), p, t.Output())
		require.ErrorContains(t, err, says)
	}
}

// A pause is between two acknowledgements; a wait is of a record.
func TestAPauseAndAWait(t *testing.T) {
	begun := time.Now()
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	tr := &traffic{acks: map[int32][]ack{0: {{at(0), at(1)}, {at(100), at(101)}, {at(110), at(150)}, {at(200), at(201)}}}}
	require.Equal(t, 49*time.Millisecond, tr.pause(0, at(105), at(140)), "the gap that began before counts")
	require.Equal(t, 40*time.Millisecond, tr.wait(0, at(105), at(190)))
	require.Equal(t, time.Millisecond, tr.wait(0, at(160), at(300)))
	served, err := tr.served([]int32{0}, at(105))
	require.NoError(t, err)
	require.Equal(t, at(150), served, "the first that was sent later")
	_, err = tr.served([]int32{0, 1}, at(105))
	require.Error(t, err)
}
