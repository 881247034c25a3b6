package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/talos-log/talos/test/process"
)

// Run measures the rows of a plan, and tells on say how it goes on. What was measured
// before an error is in the report.
func Run(ctx context.Context, p Plan, say func(format string, args ...any)) (r Report, err error) {
	if err := p.Validate(); err != nil {
		return r, err
	}
	r = Report{Begun: time.Now(), LoadBefore: process.LoadAverage(), Processors: runtime.NumCPU(), Rounds: p.Rounds}
	var kept *lab
	if p.Keep {
		if kept, err = openLab(p, say); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, kept.close()) }()
	}
	for _, one := range rows() {
		if !slices.Contains(p.Rows, one.Number) {
			continue
		}
		say("row %d: %s", one.Number, one.Title)
		measured, err := measureRow(ctx, p, kept, one, say)
		r.Rows = append(r.Rows, measured)
		if err != nil {
			return r, fmt.Errorf("row %d: %w", one.Number, err)
		}
	}
	r.LoadAfter = process.LoadAverage()
	return r, nil
}

// measureRow does so with the servers of a lab, or if it is nil with new ones.
func measureRow(ctx context.Context, p Plan, l *lab, one row, say func(format string, args ...any)) (r Row, err error) {
	r = Row{Number: one.Number, Title: one.Title}
	if l == nil {
		if l, err = openLab(p, say); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, l.close()) }()
	}
	for _, w := range one.workloads(l) {
		measured, err := measureWorkload(ctx, p, w, say)
		if err != nil {
			return r, fmt.Errorf("%s: %w", w.name, err)
		}
		r.Workloads = append(r.Workloads, measured)
	}
	return r, nil
}

// closeTimeout bounds how long a contender takes to end, also after an interrupt.
const closeTimeout = 2 * time.Minute

// measureWorkload opens all contenders, and runs their legs in turns.
func measureWorkload(ctx context.Context, p Plan, w workload, say func(format string, args ...any)) (r Workload, err error) {
	runners := make([]runner, len(w.contenders))
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		for i, one := range runners {
			if one == nil {
				continue
			}
			if e := one.close(closing); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", w.contenders[i].name, e))
			}
		}
	}()
	for i, c := range w.contenders {
		if runners[i], err = c.open(ctx); err != nil {
			runners[i] = nil
			return r, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	all := make([]legs, len(w.contenders))
	for round := range p.Rounds + 1 {
		of := limit{p.Leg, p.LegBytes}
		if round == 0 {
			of = limit{p.Warmup, p.LegBytes / 2}
		}
		for half := range 2 {
			if w.bytes > 0 {
				of.bytes = min(of.bytes, w.bytes)
			}
			if w.once && (round != 1 || half != 0) || round == 0 && p.Warmup == 0 {
				continue
			}
			for _, i := range order(len(runners), round, half) {
				c := w.contenders[i]
				o, err := profiled(p.Profiles, fmt.Sprintf("%s-%s-%d%c", w.name, c.name, round, 'A'+half), func() (outcome, error) {
					return runners[i].leg(ctx, of)
				})
				if err != nil {
					return r, fmt.Errorf("%s: %w", c.name, err)
				}
				say("%s, round %d of %d, %s: %s", w.name, round, p.Rounds, c.name, o)
				if round > 0 {
					all[i][half] = append(all[i][half], o)
				}
			}
			if round == 0 { // it warms up, and counts nowhere
				break
			}
		}
	}
	return w.result(all), nil
}

// profiled writes a profile of a leg to a folder, if there is one.
func profiled(folder, name string, leg func() (outcome, error)) (o outcome, err error) {
	if folder == "" {
		return leg()
	}
	f, err := os.Create(filepath.Join(folder, strings.ReplaceAll(name, " ", "-")+".pprof"))
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return o, err
	}
	defer pprof.StopCPUProfile()
	return leg()
}

// order is that of the contenders in a half of a round: forth, then back.
func order(n, round, half int) []int {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	if (round+half)%2 == 0 {
		slices.Reverse(all)
	}
	return all
}

// String is a leg's figures, for people who wait.
func (o outcome) String() string {
	var parts []string
	for _, f := range columns() {
		if v := f.value(o); v != 0 {
			parts = append(parts, short(v)+" "+f.name)
		}
	}
	for _, name := range sortedNames(o.own) {
		parts = append(parts, name+" "+short(o.own[name]))
	}
	return strings.Join(parts, ", ")
}
