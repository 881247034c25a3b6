package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// grid is a table for people, in columns and without lines: numbers to the right,
// everything else to the left. Programs read -o json.
type grid struct {
	columns []column
	rows    [][]string
}

// column is a title, and how what stands below it is aligned.
type column struct {
	title string
	align text.Align
}

func left(title string) column  { return column{title: title, align: text.AlignLeft} }
func right(title string) column { return column{title: title, align: text.AlignRight} }

func newGrid(columns ...column) *grid { return &grid{columns: columns} }

// add appends a row; a row may be shorter than the title.
func (g *grid) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	g.rows = append(g.rows, row)
}

// write prints the title and the rows.
func (g *grid) write(w io.Writer) error {
	_, err := io.WriteString(w, g.render(paletteFor(w)))
	return err
}

func (g *grid) render(p palette) string {
	t := table.NewWriter()
	t.SetStyle(gridStyle())
	t.SuppressTrailingSpaces()
	title, configs := table.Row{}, []table.ColumnConfig{}
	for i, c := range g.columns {
		title = append(title, p.paint(c.title, text.Bold))
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: c.align, AlignHeader: c.align})
	}
	t.AppendHeader(title)
	t.SetColumnConfigs(configs)
	for _, cells := range g.rows {
		row := table.Row{}
		for _, cell := range cells {
			row = append(row, cell)
		}
		t.AppendRow(row)
	}
	return t.Render() + "\n"
}

func gridStyle() table.Style {
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	return style
}

// field is one line of a screen that describes one thing.
type field struct{ name, value string }

// writeFields prints names and values below each other; a value that is too long
// for the screen goes on below itself.
func writeFields(w io.Writer, fields ...field) error {
	_, err := io.WriteString(w, renderFields(paletteFor(w), screenWidth(w), fields...))
	return err
}

func renderFields(p palette, width int, fields ...field) string {
	const gap = 2
	widest := 0
	for _, f := range fields {
		widest = max(widest, len(f.name))
	}
	room := width - widest - gap
	var b strings.Builder
	for _, f := range fields {
		lines := strings.Split(text.WrapSoft(f.value, max(room, minWrap)), "\n")
		b.WriteString(p.paint(f.name, text.Bold) + strings.Repeat(" ", widest+gap-len(f.name)))
		for i, line := range lines {
			if i > 0 {
				b.WriteString(strings.Repeat(" ", widest+gap))
			}
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	return b.String()
}
