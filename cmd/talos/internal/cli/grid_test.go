package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/require"
)

// screen compares what people see; it is written as it looks, behind a newline.
func screen(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Error(diff)
	}
}

// Numbers stand to the right, words to the left, and no line ends in spaces.
func TestGrid(t *testing.T) {
	g := newGrid(left("NAME"), right("RECORDS"), left("OWNER"))
	g.add("logs", 7, "node-1")
	g.add("überlänge", 1_000_000)
	screen(t, `
NAME       RECORDS  OWNER
logs             7  node-1
überlänge  1000000
`, g.render(palette{}))
}

// Colours do not move what is aligned.
func TestGridInColours(t *testing.T) {
	p := palette{colors: true}
	g := newGrid(right("N"), left("STATE"), left("ID"))
	g.add(10, p.paint("bad", text.FgRed), "x")
	screen(t, " \x1b[1mN\x1b[0m  \x1b[1mSTATE\x1b[0m  \x1b[1mID\x1b[0m\n10  \x1b[31mbad\x1b[0m    x\n", g.render(p))
}

// A long value goes on below itself.
func TestFields(t *testing.T) {
	screen(t, `
topic     logs
survives  a crash of everything at
          once, and the loss of power
id        7
`, renderFields(palette{}, 38,
		field{"topic", "logs"}, field{"survives", "a crash of everything at once, and the loss of power"}, field{"id", "7"}))
}

// What is no terminal gets no colours, and is as wide as ever.
func TestColoursAreForTerminals(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer func() {
		require.NoError(t, write.Close())
		require.NoError(t, read.Close())
	}()
	for _, w := range []any{write, &bytes.Buffer{}} {
		require.Nil(t, terminal(w))
	}
	require.Equal(t, "x", paletteFor(write).paint("x", text.FgRed))
	require.Equal(t, pipeWidth, screenWidth(&bytes.Buffer{}))
	require.Empty(t, palette{colors: true}.paint("", text.FgRed), "nothing is left nothing")
}
