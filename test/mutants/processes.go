package mutants

import "strconv"

// Processes lists the rules that hold a cluster together, switched off one by one
// in real nodes: histories under faults must show it, within maxHistories.
func Processes() []Mutant {
	return []Mutant{
		inHistories("fences nobody", "s3", "late-writes", "two-owners",
			Edit{"storage/s3/recover.go", "		err := s.bucket.create(ctx, s.chunk(id, r.next()), nil)\n", "		err := error(nil)\n"}),
		inHistories("serves on though its lease is over", "local", "cut-etcd", "a node without etcd goes on",
			Edit{"coordinator/etcd/session.go", "	lifetime := s.ttl * 9 / 10\n", "	lifetime := s.ttl * 1000\n"}),
		inHistories("stores a duplicate", "local", "cut-clients", "duplicate",
			Edit{"partition/producers.go", "			return b, nil\n", "			return nil, nil\n"}),
	}
}

// maxHistories is within how many histories a broken node must have been noticed.
const maxHistories = 5

// inHistories is a mutant for histories with one sort of fault.
func inHistories(name, store, fault, says string, edits ...Edit) Mutant {
	return Mutant{
		Name: name, Edits: edits, Package: "./test/chaos", Test: "^TestHistories$", Says: says,
		Env: []string{
			"TALOS_CHAOS_HISTORIES=" + strconv.Itoa(maxHistories), "TALOS_CHAOS_STORE=" + store, "TALOS_CHAOS_FAULTS=" + fault,
			"TALOS_CHAOS_STOP=1",
		},
	}
}
