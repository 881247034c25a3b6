package explore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/talos-log/talos/partition"
)

// fingerprint writes down everything that a value holds, unexported fields and
// what pointers lead to included. Two owners at rest with the same fingerprint go
// on alike.
type fingerprint struct {
	out  []byte
	seen map[place]uint64
	// still: no time will pass anymore.
	still bool
	// fault is that there was something it can't write down.
	fault error
}

// place is where a pointer leads to; a struct and its first field share the
// address.
type place struct {
	at unsafe.Pointer
	of reflect.Type
}

// skipped are what an owner never decides by, or what is the same for all: its
// configuration, what it counts and keeps in memory for readers, contexts (one
// that is over ends the log), and this package's own side of the gate.
var skipped = []reflect.Type{
	reflect.TypeFor[partition.Config](), reflect.TypeFor[partition.Metrics](),
	reflect.TypeFor[partition.Tails](), reflect.TypeFor[partition.History](),
	reflect.TypeFor[slog.Logger](), reflect.TypeFor[context.Context](), reflect.TypeFor[life](),
}

func (f *fingerprint) number(n uint64) { f.out = binary.AppendUvarint(f.out, n) }

func (f *fingerprint) add(v reflect.Value) {
	if slices.Contains(skipped, v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			f.number(1)
		} else {
			f.number(0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.out = binary.AppendVarint(f.out, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.number(v.Uint())
	case reflect.String:
		f.number(uint64(v.Len()))
		f.out = append(f.out, v.String()...)
	case reflect.Interface:
		if v.IsNil() {
			f.number(0)
			return
		}
		f.out = append(f.out, v.Elem().Type().String()...)
		f.add(v.Elem())
	case reflect.Pointer:
		f.pointer(v)
	case reflect.Slice, reflect.Array:
		f.elements(v)
	case reflect.Struct:
		f.fields(v)
	case reflect.Map:
		f.entries(v)
	case reflect.Chan, reflect.Func:
		f.nothing(v)
	default:
		f.fault = fmt.Errorf("can't take the fingerprint of a %v", v.Type())
	}
}

// nothing notes what can't be looked into: only whether it is there, and how much
// waits in it.
func (f *fingerprint) nothing(v reflect.Value) {
	if v.IsNil() {
		f.number(0)
		return
	}
	f.number(1)
	if v.Kind() == reflect.Chan {
		f.number(uint64(v.Len()))
	}
}

func (f *fingerprint) pointer(v reflect.Value) {
	p := v.UnsafePointer()
	if p == nil || slices.Contains(skipped, v.Type().Elem()) {
		f.number(0)
		return
	}
	here := place{p, v.Type().Elem()}
	if n, ok := f.seen[here]; ok {
		f.number(n)
		return
	}
	f.seen[here] = uint64(len(f.seen) + 2)
	f.number(1)
	f.add(v.Elem())
}

func (f *fingerprint) elements(v reflect.Value) {
	f.number(uint64(v.Len()))
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		f.out = append(f.out, v.Bytes()...)
		return
	}
	for i := range v.Len() {
		f.add(v.Index(i))
	}
}

func (f *fingerprint) fields(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		f.number(v.Field(0).Uint())
		f.out = binary.AppendVarint(f.out, v.Field(1).Int())
		return
	}
	// An atomic.Pointer[T] begins with a [0]*T, and ends with the address.
	last := v.NumField() - 1
	if last > 0 && v.Field(last).Kind() == reflect.UnsafePointer && v.Field(0).Kind() == reflect.Array {
		f.pointer(reflect.NewAt(v.Field(0).Type().Elem().Elem(), v.Field(last).UnsafePointer()))
		return
	}
	switch v.Type().PkgPath() {
	case "sync", "internal/sync":
		return // locks: nobody holds one
	}
	for i := range v.NumField() {
		if !f.skips(v.Type(), v.Type().Field(i).Name) {
			f.add(v.Field(i))
		}
	}
}

// skips tells which fields an open log does not decide by: whether its segments
// were found sealed, and how long (Stats tells it); when it removes something or
// looks for what has expired, if no time passes anymore; and what an error says
// beside its kind.
func (f *fingerprint) skips(of reflect.Type, field string) bool {
	switch of.String() {
	case "partition.link":
		return field == "size" || field == "sealed"
	case "partition.Log":
		return (field == "sweepAt" || field == "retention") && f.still
	case "partition.retention":
		// When it looks is drawn at random, within the minute that may pass.
		return field != "learning"
	case "talos.Error":
		return field != "Kind"
	default:
		return false
	}
}

// entries writes a map in an order of its own.
func (f *fingerprint) entries(v reflect.Value) {
	f.number(uint64(v.Len()))
	var all []string
	for it := v.MapRange(); it.Next(); {
		one := fingerprint{seen: map[place]uint64{}, still: f.still}
		one.add(it.Key())
		one.add(it.Value())
		all = append(all, string(one.out))
		f.fault = cmp.Or(f.fault, one.fault)
	}
	slices.Sort(all)
	for _, one := range all {
		f.out = append(f.out, one...)
	}
}

// atRest tells whether a fingerprint says all that there is to know of an open
// log's future: where its goroutines are follows from the questions. Appends are
// answered to the run goroutine, which waits for whatever comes; recovering and
// sealing run in the background, and know nothing but their segment; the client's
// own variables are in its struct. With any other question, somebody is in the
// middle of something.
func (l *life) atRest(questions []*question) bool {
	if l.log == nil || l.log.Err() != nil || l.looking {
		return false
	}
	return !slices.ContainsFunc(questions, (*question).holdsUp)
}

// holdsUp tells whether a goroutine that has more to do waits for the answer.
func (q *question) holdsUp() bool {
	return q.verb != askNext && q.verb != doAppend && q.verb != doRecover
}

// fingerprint of an owner at rest, of what its client has in mind, and of what it
// asks.
func (l *life) fingerprint(questions []*question) ([16]byte, error) {
	f := fingerprint{seen: map[place]uint64{}, still: l.still}
	for _, q := range questions {
		f.number(uint64(q.id))
	}
	log := reflect.ValueOf(l.log)
	if l.client.gone && !log.Elem().FieldByName("inbox").Elem().FieldByName("refusal").IsNil() {
		// It is ending, and waits for what runs in the background.
		return f.sum(), nil
	}
	f.number(0)
	f.add(reflect.ValueOf(l.still))
	f.add(reflect.ValueOf(l.role))
	f.add(reflect.ValueOf(&l.client))
	f.add(log)
	return f.sum(), f.fault
}

func (f *fingerprint) sum() [16]byte {
	sum := sha256.Sum256(f.out)
	return [16]byte(sum[:16])
}
