package scene

import (
	"time"

	"github.com/stretchr/testify/require"
	"github.com/talos-log/talos/test/failpoint"
)

// PauseInAppend stops the node (SIGSTOP) while an append is in flight. The node
// counts its appends in the gauge: see failpoint.Gauge.
func (s *Scene) PauseInAppend(gauge string) {
	s.T.Helper()
	for deadline := time.Now().Add(StepTimeout); time.Now().Before(deadline); {
		if !s.Appending(gauge) {
			continue // without a pause: appends are short
		}
		s.Node.Pause()
		if s.Appending(gauge) {
			return
		}
		s.Node.Resume()
	}
	require.Fail(s.T, "there is no append anymore")
}

// Appending tells whether more appends were issued to the store than completed.
func (s *Scene) Appending(gauge string) bool {
	s.T.Helper()
	issued, completed, err := failpoint.ReadGauge(gauge)
	require.NoError(s.T, err)
	return issued > completed
}
