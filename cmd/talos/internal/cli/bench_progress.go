package cli

import (
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/talos-log/talos/cmd/talos/internal/bench"
)

// benchProgress is a bar on stderr, if that is a terminal.
type benchProgress struct {
	bar *progressbar.ProgressBar // nil if there is none
	cmd *cobra.Command
}

func newBenchProgress(cmd *cobra.Command) *benchProgress {
	return &benchProgress{cmd: cmd}
}

// step shows which step begins.
func (p *benchProgress) step(s bench.Step) {
	file := terminal(p.cmd.ErrOrStderr())
	if file == nil {
		return
	}
	if p.bar == nil {
		p.bar = newBar(file, int64(s.Of), progressbar.OptionThrottle(0))
	}
	p.bar.Describe(s.Name)
	// A bar that can't be drawn is not worth failing for.
	_ = p.bar.Set(s.Number - 1)
}

// end takes the bar away.
func (p *benchProgress) end() {
	if p.bar != nil {
		_ = p.bar.Finish() // as above
	}
}
