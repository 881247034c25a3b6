package chaos

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/talos-log/talos/test/history"
)

// WriteTable prints what came of histories, one a line, and the sums.
func WriteTable(out io.Writer, all []*Outcome) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(columns ...any) {
		// A tabwriter that can't write says so in Flush.
		_, _ = fmt.Fprintln(table, strings.Join(texts(columns), "\t"))
	}
	line("SEED", "STORE", "ETCD", "ACKED", "FAULTS", "FELT", "ANOMALIES", "TOOK", "")
	var acks, felt, anomalies, counted int
	for _, o := range all {
		remark := ""
		switch {
		case !o.Done:
			remark = "did not end"
		case !o.Counts():
			remark = "does not count"
		default:
			counted++
		}
		acks, felt, anomalies = acks+o.Acks, felt+len(o.Felt), anomalies+len(o.Anomalies)
		line(o.Seed, o.Store, o.Members, o.Acks, o.steps(), len(o.Felt), len(o.Anomalies), o.Took.Round(100*time.Millisecond), remark)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d histories, %d of them count (at least %d records acknowledged, %d faults felt): %d records, %d faults felt, %d anomalies\n",
		len(all), counted, minAcks, minFaults, acks, felt, anomalies)
	return err
}

// steps names the faults in their order.
func (o *Outcome) steps() string {
	var all []string
	for _, step := range o.Steps {
		all = append(all, names(step))
	}
	return strings.Join(all, " ")
}

// Report tells one history.
func (o *Outcome) Report() string {
	text := "\n  felt: " + strings.Join(o.Felt, "\n  felt: ")
	if len(o.Unfelt) > 0 {
		text += "\n  not seen by itself: " + strings.Join(o.Unfelt, ", ")
	}
	if len(o.Anomalies) > 0 {
		text += "\nthe log broke its promises: " + history.Report(o.Anomalies)
	}
	return text
}

func texts(values []any) []string {
	var all []string
	for _, v := range values {
		all = append(all, fmt.Sprint(v))
	}
	return all
}
