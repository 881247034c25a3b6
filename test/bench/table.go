package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// WriteTable writes the report in Markdown: of each row its figures, which are
// ratios, with the targets; below what they are made of, which is true for this
// machine at this time alone.
func (r Report) WriteTable(w io.Writer) error {
	var text strings.Builder
	for _, row := range r.Rows {
		fmt.Fprintf(&text, "### %d. %s\n\n", row.Number, row.Title)
		text.WriteString("| workload | figure | of / to | value | spread of A and B | target | met |\n|---|---|---|---|---|---|---|\n")
		for _, one := range row.Workloads {
			for _, f := range one.Figures {
				fmt.Fprintf(&text, "| %s | %s | %s | %s | %s | %s | %s |\n",
					one.Name, f.Name, f.pair(), short(f.Value), f.spread(), f.goal(), f.verdict())
			}
		}
		text.WriteString("\n")
		for _, one := range row.Workloads {
			one.writeValues(&text)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (f Figure) pair() string {
	if f.To == "" {
		return f.Of
	}
	return f.Of + " / " + f.To
}

func (f Figure) spread() string {
	if f.SpreadPercent == nil {
		return ""
	}
	return fmt.Sprintf("%.0f %%", *f.SpreadPercent)
}

func (f Figure) goal() string {
	switch {
	case f.Target == 0:
		return ""
	case f.More:
		return "≥ " + short(f.Target)
	default:
		return "≤ " + short(f.Target)
	}
}

func (f Figure) verdict() string {
	switch {
	case f.Target == 0:
		return ""
	case f.Met:
		return "yes"
	default:
		return "**no**"
	}
}

// writeValues writes what each contender came to.
func (w Workload) writeValues(text *strings.Builder) {
	names := w.columns()
	fmt.Fprintf(text, "| %s | %s |\n|---|%s\n", w.Name, strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, c := range w.Contenders {
		fmt.Fprintf(text, "| %s |", c.Name)
		for _, name := range names {
			cell := ""
			if v, ok := c.Values[name]; ok {
				cell = short(v)
			}
			fmt.Fprintf(text, " %s |", cell)
		}
		text.WriteString("\n")
	}
	text.WriteString("\n")
}

// columns are those that some contender has: the usual ones first.
func (w Workload) columns() (names []string) {
	found := map[string]float64{}
	for _, c := range w.Contenders {
		for name := range c.Values {
			found[name] = 0
		}
	}
	for _, c := range columns() {
		if _, ok := found[c.name]; ok {
			names = append(names, c.name)
		}
	}
	for _, name := range sortedNames(found) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// short writes three figures, and all of whole numbers.
func short(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
