package server

import (
	"sync"

	"github.com/talos-log/talos/partition"
	"github.com/talos-log/talos/talos"
)

// answer is what one batch of a stream will be told.
type answer struct {
	id   uint64
	lane talos.PartitionID
	// The fields below are written before complete is set.
	appended partition.Appended
	err      error
	complete bool
}

// answers puts the answers of one stream in order: those for one partition come
// in the order in which its batches came, also when one was refused at once
// while others before it still wait for the store.
type answers struct {
	// ready are the answers that may be sent. It has room for all that are
	// expected at a time, so filling it never blocks.
	ready chan *answer

	mu sync.Mutex // guards lanes and the answers in it
	// lanes are the answers that are not ready, by partition.
	lanes map[talos.PartitionID][]*answer
}

// newAnswers makes room for limit answers that are expected or ready at a time.
func newAnswers(limit int) *answers {
	return &answers{ready: make(chan *answer, limit), lanes: make(map[talos.PartitionID][]*answer)}
}

// expect takes a place for an answer behind all that are expected in its lane.
func (s *answers) expect(id uint64, lane talos.PartitionID) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &answer{id: id, lane: lane}
	s.lanes[lane] = append(s.lanes[lane], a)
	return a
}

// complete fills an answer in, and makes ready what no longer waits for another.
func (s *answers) complete(a *answer, appended partition.Appended, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.appended, a.err, a.complete = appended, err, true
	lane := s.lanes[a.lane]
	for len(lane) > 0 && lane[0].complete {
		s.ready <- lane[0]
		lane[0] = nil
		lane = lane[1:]
	}
	if len(lane) == 0 {
		delete(s.lanes, a.lane)
		return
	}
	s.lanes[a.lane] = lane
}
