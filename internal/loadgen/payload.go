package loadgen

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// A record's value, big-endian:
//
//	0   run   uint32  which bench wrote it
//	4   leg   uint32  in which of its legs
//	8   due   int64   when it was due, in nanoseconds since the bench began
//	16  data          half random, half text

// StampBytes is the least size of a value.
const StampBytes = 16

// poolSize is how much random data there is: more than half of the largest batch,
// so that no compressor finds the same bytes twice in one.
const poolSize = 4 << 20

// payloadSeed makes all runs write the same bytes.
const payloadSeed = 1

// stamp is what a record says of itself.
type stamp struct {
	run, leg uint32
	due      time.Duration // since the bench began
}

// put writes the stamp to the beginning of value, which has room for it.
func (s stamp) put(value []byte) {
	binary.BigEndian.PutUint32(value, s.run)
	binary.BigEndian.PutUint32(value[4:], s.leg)
	binary.BigEndian.PutUint64(value[8:], uint64(s.due))
}

// readStamp returns the stamp of a record, if it can have one.
func readStamp(value []byte) (stamp, bool) {
	if len(value) < StampBytes {
		return stamp{}, false
	}
	return stamp{
		run: binary.BigEndian.Uint32(value), leg: binary.BigEndian.Uint32(value[4:]),
		due: time.Duration(binary.BigEndian.Uint64(value[8:])),
	}, true
}

// Payload is what values are filled with. It does not change, and may be used by
// several goroutines.
type Payload struct {
	random, text []byte
}

// NewPayload makes the same bytes in each process.
func NewPayload() *Payload {
	source := rand.New(rand.NewPCG(payloadSeed, payloadSeed))
	p := &Payload{random: make([]byte, poolSize), text: make([]byte, 0, poolSize)}
	for i := 0; i < poolSize; i += 8 {
		binary.LittleEndian.PutUint64(p.random[i:], source.Uint64())
	}
	words := []string{"GET ", "POST ", "/index.html ", "/api/v1/orders ", "200 ", "404 ", "user=", "session=", "INFO ", "WARN ", "127.0.0.1 ", "ms\n"}
	for len(p.text) < poolSize-16 {
		p.text = append(p.text, words[source.IntN(len(words))]...)
	}
	p.text = append(p.text, make([]byte, poolSize-len(p.text))...)
	return p
}

// Fill writes the data of the n-th record behind the room for its stamp: other
// bytes for each n, the same ones in each run.
func (p *Payload) Fill(value []byte, n int64) {
	data := value[StampBytes:]
	half := len(data) / 2
	copy(data[:half], from(p.random, n, half))
	copy(data[half:], from(p.text, n, len(data)-half))
}

// from returns the n-th piece of a pool.
func from(pool []byte, n int64, size int) []byte {
	at := n * int64(size) % int64(len(pool)-size)
	return pool[at : at+int64(size)]
}
