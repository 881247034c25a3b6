package batch

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// zstdWindow is how far back zstd looks for what repeats, in bytes; more than a
// batch usually has would only cost memory.
const zstdWindow = 1 << 20

// Compressor keeps encoders to use again, since making one is dear. The zero
// value is ready; it may be used by several goroutines.
type Compressor struct {
	gzip, lz4, zstd sync.Pool
}

// compress appends what src becomes to dst.
func (c *Compressor) compress(dst []byte, codec Codec, src []byte) ([]byte, error) {
	switch codec {
	case Gzip:
		return c.gzipped(dst, src)
	case Snappy:
		return append(dst, xerial.Encode(nil, src)...), nil
	case LZ4:
		return c.lz4ed(dst, src)
	case Zstd:
		return c.zstded(dst, src)
	default:
		return nil, invalid("Build", "unknown compression %d", codec)
	}
}

func (c *Compressor) gzipped(dst, src []byte) ([]byte, error) {
	w, ok := c.gzip.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(nil)
	}
	defer c.gzip.Put(w)
	out := bytes.NewBuffer(dst)
	w.Reset(out)
	if _, err := w.Write(src); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return out.Bytes(), nil
}

// lz4ed writes the frame as Kafka's Java client does: independent blocks of
// 64 KiB. The content checksum is left out, since the batch has its own.
func (c *Compressor) lz4ed(dst, src []byte) ([]byte, error) {
	w, ok := c.lz4.Get().(*lz4.Writer)
	if !ok {
		w = lz4.NewWriter(nil)
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)); err != nil {
			return nil, fmt.Errorf("lz4: %w", err)
		}
	}
	defer c.lz4.Put(w)
	out := bytes.NewBuffer(dst)
	w.Reset(out)
	if _, err := w.Write(src); err != nil {
		return nil, fmt.Errorf("lz4: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("lz4: %w", err)
	}
	return out.Bytes(), nil
}

func (c *Compressor) zstded(dst, src []byte) ([]byte, error) {
	w, ok := c.zstd.Get().(*zstd.Encoder)
	if !ok {
		var err error
		// One at a time: the encoder then has no goroutine that somebody must stop.
		w, err = zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(zstdWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
	}
	defer c.zstd.Put(w)
	return w.EncodeAll(src, dst), nil
}
