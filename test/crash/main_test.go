package crash_test

import (
	"os"
	"testing"

	"github.com/talos-log/talos/talos"
	"github.com/talos-log/talos/test/process"
	"github.com/talos-log/talos/test/scene"
	"go.uber.org/goleak"
)

// released is the program as users run it, instrumented the one that can kill
// itself and shows its appends in flight.
var (
	released     process.Builder
	instrumented = process.Builder{Tags: []string{"failpoints"}}
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, b := range []*process.Builder{&released, &instrumented} {
			if err := b.Remove(); err != nil {
				panic(err)
			}
		}
		os.Exit(code)
	}))
}

// newScene starts a node and makes the topic.
func newScene(t *testing.T, program *process.Builder, partitions int32, cfg talos.TopicConfig) *scene.Scene {
	t.Helper()
	return scene.New(t, scene.Config{Program: program, Partitions: partitions, Topic: cfg})
}
