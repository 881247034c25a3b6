package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/talos-log/talos/talos"
)

// inflater keeps decoders to use again.
type inflater struct {
	gzip, lz4, zstd sync.Pool
}

// inflaters is shared by all readers; it holds nothing but pools.
var inflaters inflater

// inflate returns what src was compressed from, and never more than limit bytes.
func (f *inflater) inflate(codec Codec, src []byte, limit int) ([]byte, error) {
	switch codec {
	case Gzip:
		return f.gunzip(src, limit)
	case Snappy:
		return unsnap(src, limit)
	case LZ4:
		return f.unlz4(src, limit)
	case Zstd:
		return f.unzstd(src, limit)
	default:
		return nil, fmt.Errorf("unknown compression %d", codec)
	}
}

func (f *inflater) gunzip(src []byte, limit int) ([]byte, error) {
	r, ok := f.gzip.Get().(*gzip.Reader)
	if !ok {
		r = new(gzip.Reader)
	}
	defer f.gzip.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return readUpTo(r, len(src), limit)
}

func (f *inflater) unlz4(src []byte, limit int) ([]byte, error) {
	r, ok := f.lz4.Get().(*lz4.Reader)
	if !ok {
		r = lz4.NewReader(nil)
	}
	defer f.lz4.Put(r)
	r.Reset(bytes.NewReader(src))
	return readUpTo(r, len(src), limit)
}

func (f *inflater) unzstd(src []byte, limit int) ([]byte, error) {
	r, ok := f.zstd.Get().(*zstd.Decoder)
	if !ok {
		var err error
		// One at a time: the decoder then has no goroutine that somebody must stop.
		r, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(talos.MaxInflatedBytes))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
	}
	defer f.zstd.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return readUpTo(r, len(src), limit)
}

// readUpTo reads all of r, and fails as soon as there is more than limit.
func readUpTo(r io.Reader, compressed, limit int) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(min(4*compressed, limit) + bytes.MinRead)
	n, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	if n > int64(limit) {
		return nil, tooLarge(limit)
	}
	return out.Bytes(), nil
}

func tooLarge(limit int) error { return fmt.Errorf("it holds more than %d bytes", limit) }

// xerialMagic starts the frame in which Kafka's Java client puts blocks of
// snappy; others write one block without a frame.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16

var errXerial = errors.New("snappy: malformed frame")

// unsnap takes both forms of snappy. What it will become is declared in front, so
// it is added up before there is memory for it.
func unsnap(src []byte, limit int) ([]byte, error) {
	size, err := unsnappedSize(src, limit)
	if err != nil {
		return nil, err
	}
	out, err := xerial.DecodeCapped(make([]byte, 0, size), src)
	if err != nil {
		return nil, fmt.Errorf("snappy: %w", err)
	}
	return out, nil
}

func unsnappedSize(src []byte, limit int) (int, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return declared(src, limit)
	}
	if len(src) < xerialHeader {
		return 0, errXerial
	}
	total := 0
	for rest := src[xerialHeader:]; len(rest) > 0; {
		if len(rest) < 4 {
			return 0, errXerial
		}
		size := int64(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		if size > int64(len(rest)) {
			return 0, errXerial
		}
		n, err := declared(rest[:size], limit)
		if err != nil {
			return 0, err
		}
		if n > limit-total { // not total+n > limit: that could overflow
			return 0, tooLarge(limit)
		}
		total += n
		rest = rest[size:]
	}
	return total, nil
}

// declared is the size that one block says it will have.
func declared(block []byte, limit int) (int, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return 0, fmt.Errorf("snappy: %w", err)
	}
	if n > limit {
		return 0, tooLarge(limit)
	}
	return n, nil
}
