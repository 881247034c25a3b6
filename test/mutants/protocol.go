package mutants

const (
	exploring = "./test/explore"
	explorer  = "TestNoInterleavingBreaksAPromise/"
	broken    = "(was readable, and is gone for|was acknowledged at offset)"
)

// Protocol lists the rules of a partition, broken one by one.
func Protocol() []Mutant {
	return []Mutant{
		{
			Name: "acknowledges before the swap of the tail",
			Edits: []Edit{{
				"partition/active.go", "if err := l.cfg.Records.Swap(ctx, l.rec, next); err != nil {",
				"old := l.rec\n\tgo func() { _ = l.cfg.Records.Swap(l.ctx, old, next) }()\n\tif err := ctx.Err(); err != nil {",
			}},
			Package: exploring, Test: explorer + "^three_owners$", Says: "yet segment .* beyond its tail was written to",
		},
		{
			Name: "lists before it raises",
			Edits: []Edit{
				{
					"partition/open.go", "	rec, err := cfg.Records.Raise(ctx)\n",
					"	early, earlyErr := cfg.Store.List(ctx, l.id.String())\n	rec, err := cfg.Records.Raise(ctx)\n",
				},
				{"partition/open.go", "l.takeOver(ctx)\n", "l.takeOver(ctx, early, earlyErr)\n"},
				{
					"partition/open.go", "takeOver(ctx context.Context) ([]link, error) {\n	listing, err := l.cfg.Store.List(ctx, l.id.String())\n",
					"takeOver(ctx context.Context, listing storage.Listing, err error) ([]link, error) {\n",
				},
			},
			Package: exploring, Test: explorer + "^three_owners$", Says: "is missing; the chain goes from",
		},
		{
			Name: "derives the chain from the folder alone",
			Edits: []Edit{{
				"partition/chain.go", "	newest := map[talos.SegmentNumber]link{}\n",
				"	newest := map[talos.SegmentNumber]link{}\n	for _, s := range segments {\n		if name, err := talos.ParseSegmentName(s.Name); err == nil && name.Epoch < rec.Epoch {\n			rec.Tail = max(rec.Tail, name.Number)\n		}\n	}\n",
			}},
			Package: exploring, Test: explorer + "^one_in_between_only_looks$", Says: broken,
		},
		{
			Name: "keeps the epoch when the same node restarts",
			Edits: []Edit{{
				"test/explore/effects.go", "		w.record.Epoch++\n",
				"		if asker == 0 || asker == len(h.bounds.Owners) || h.bounds.Owners[asker-1] != h.bounds.Owners[asker] {\n			w.record.Epoch++\n		}\n",
			}},
			Package: exploring, Test: explorer + "^a_restart$", Says: "etcd seems restored",
		},
		{
			Name: "removes a segment before what it had made garbage",
			Edits: []Edit{{
				"partition/trim.go", "	return all\n}", "	slices.Reverse(all)\n	return all\n}",
			}, {
				"partition/trim.go", `	"fmt"`, `	"fmt"` + "\n" + `	"slices"`,
			}},
			Package: exploring, Test: explorer + "^trimming,_one_fault$", Says: "which it had made garbage",
		},
		{
			Name: "removes the first segment that counts with those before it",
			Edits: []Edit{{
				"partition/trim.go", "case n.Number < rec.Start.Number,", "case n.Number <= rec.Start.Number,",
			}},
			Package: exploring, Test: explorer + "^trimming$", Says: "is removed, and counts under",
		},
		{
			Name: "answers a duplicate whose original is in flight",
			Edits: []Edit{{
				"partition/append.go", "			l.holder(p, known.Base).answers = append(l.holder(p, known.Base).answers, a)\n",
				"			a.done(a.result, nil)\n",
			}},
			Package: exploring, Test: explorer + "^each_record_sent_twice$", Says: broken,
		},
		{
			Name: "takes a Create for done that Recover can't stop yet",
			Edits: []Edit{{
				"storage/mem/segment.go", "	if s.state != open {\n		return storage.ErrDead\n	}\n	s.content.append(p)",
				"	if s.state != open && s.appended {\n		return storage.ErrDead\n	}\n	s.appended = true\n	s.content.append(p)",
			}, {
				"storage/mem/segment.go", "	content content\n}", "	content content\n	appended bool\n}",
			}},
			Package: exploring, Test: "TestOwnersTogetherFindTheSame", Says: `expected: 0x4\s+actual  : 0x0`,
		},
		{
			Name: "acknowledges the first append though the segment was recovered",
			Edits: []Edit{{
				"test/explore/effects.go", "		return !found || w.files[i].sealed || ", "		return !found || w.files[i].sealed && q.nth > 1 || ",
			}},
			Package: exploring, Test: explorer + "^three_owners$", Says: broken,
		},
		{
			Name: "tries a name again after an ambiguous create",
			Edits: []Edit{{
				"partition/active.go", "		if raised := l.raise(); raised != nil {\n			return raised\n		}\n", "",
			}},
			Package: exploring, Test: explorer + "^two_owners,_one_fault$", Says: "is created a second time",
		},
		{
			Name: "drops the producers' state at a roll",
			Edits: []Edit{{
				"partition/active.go", "segment.NewWriter(head, l.producers.snapshot(l.acked), at, ", "segment.NewWriter(head, nil, at, ",
			}},
			Package: exploring, Test: explorer + "^an_answer_was_lost$", Says: broken,
		},
		{
			Name: "serves before earlier appenders are stopped",
			Edits: []Edit{{
				"partition/open.go", "			info, err := l.cfg.Store.Recover(ctx, id)\n",
				"			info, err := storage.Info{Name: id.Name}, error(nil)\n",
			}},
			Package: exploring, Test: explorer + "^three_owners$", Says: broken,
		},
		{
			Name: "goes on after somebody else was owner in between",
			Edits: []Edit{{
				"partition/active.go", "	case rec.Epoch != l.rec.Epoch+1:", "	case rec.Epoch < l.rec.Epoch+1:",
			}},
			Package: exploring, Test: explorer + "^the_partition_comes_back$", Says: broken,
		},
		{
			Name: "blames the store for what a later owner has done",
			Edits: []Edit{{
				"partition/open.go", "		err = l.blame(ctx, err)\n", "",
			}},
			Package: exploring, Test: explorer + "^two_owners,_one_fault$", Says: "can't open the partition",
		},
		{
			Name: "drops a bad frame below an acknowledged offset",
			Edits: []Edit{{
				"storage/segment/load.go", "	case l.found && l.last.Acked > l.out.Next:", "	case l.found && l.last.Acked > l.out.Next && l.Ordered && !l.Ordered:",
			}},
			Package: "./storage/segment", Test: "TestDamageBelowWhatALaterFrameStates", Says: "a segment is damaged",
		},
		{
			Name: "keeps what was in flight of a broken segment in the producers' state",
			Edits: []Edit{{
				"partition/run.go", "	l.producers.truncate(l.acked)\n", "",
			}},
			Package: "./partition", Test: "TestASegmentThatBreaksWhileTheStoreIsFull", Says: "it was never stored",
		},
	}
}
