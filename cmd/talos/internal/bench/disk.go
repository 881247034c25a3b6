package bench

import (
	"context"
	"errors"
	"os"

	"github.com/talos-log/talos/internal/loadgen"
)

// disk appends a record to a file and syncs it, as a log has to that acknowledges
// one record at a time.
type disk struct {
	folder string
	value  []byte
	fill   *loadgen.Payload
	file   *os.File // nil between legs
}

func newDisk(folder string, size int, fill *loadgen.Payload) *disk {
	return &disk{folder: folder, value: make([]byte, size), fill: fill}
}

func (d *disk) name() string { return diskName }

func (d *disk) begin() (err error) {
	d.file, err = os.CreateTemp(d.folder, "talos-bench-")
	return err
}

func (d *disk) do(_ context.Context, n int64) (int64, error) {
	d.fill.Fill(d.value, n)
	if _, err := d.file.Write(d.value); err != nil {
		return 0, err
	}
	return int64(len(d.value)), datasync(d.file)
}

func (d *disk) end() error {
	err := errors.Join(d.file.Close(), os.Remove(d.file.Name()))
	d.file = nil
	return err
}

func (d *disk) close() error { return nil }
