package chaos_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/talos-log/talos/test/hadoop"
	"github.com/talos-log/talos/test/minio"
	"github.com/talos-log/talos/test/process"
)

// instrumented is the program that shows its appends in flight.
var instrumented = process.Builder{Tags: []string{"failpoints"}}

// withMinIO are tests that share an S3 server.
type withMinIO struct{ tests *testing.M }

// Run implements hadoop.Tests.
func (w withMinIO) Run() int { return minio.Main(w.tests) }

func TestMain(m *testing.M) {
	code := hadoop.Main(withMinIO{m})
	if err := instrumented.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
