package cli

import (
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

const (
	// pipeWidth is how many columns a text is wrapped at where no terminal says.
	pipeWidth = 80
	// minWrap is the least width at which a text is wrapped.
	minWrap = 20
)

// terminal returns what is behind a stream if that is a terminal, else nil.
func terminal(stream any) *os.File {
	file, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return file
}

// screenWidth is how many columns a line should have at most.
func screenWidth(w io.Writer) int {
	file := terminal(w)
	if file == nil {
		return pipeWidth
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		return pipeWidth
	}
	return width
}

// palette paints words; the zero value leaves them as they are.
type palette struct{ colors bool }

// paletteFor paints on a terminal only, and never where the environment asks not
// to: https://no-color.org, or a terminal that is dumb.
func paletteFor(w io.Writer) palette {
	return palette{colors: terminal(w) != nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p palette) paint(s string, colors ...text.Color) string {
	if !p.colors || s == "" {
		return s
	}
	return text.Escape(s, text.Colors(colors).EscapeSeq())
}
