package bench

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The measures of a plot, in pixels.
const (
	plotWidth, plotHeight = 760, 420
	plotLeft, plotRight   = 70, 210
	plotTop, plotBottom   = 40, 50
)

// plotColours are those of contenders, which colour-blind people can tell apart.
var plotColours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// plotTicks are the percents that are written below.
var plotTicks = []float64{1, 50, 90, 99, 99.9, 99.99}

// curve is one line.
type curve struct {
	name   string
	points []Percentile
}

// WritePlot writes an SVG with the latency of each contender by percentile, both
// axes logarithmic: from left to right fewer and fewer are slower. It writes nothing
// and returns false if no latency was measured.
func (w Workload) WritePlot(out io.Writer) (bool, error) {
	var curves []curve
	for _, c := range w.Contenders {
		if len(c.Produced) > 0 {
			curves = append(curves, curve{c.Name, c.Produced})
		}
		if len(c.Consumed) > 0 {
			curves = append(curves, curve{c.Name + ", end to end", c.Consumed})
		}
	}
	if len(curves) == 0 {
		return false, nil
	}
	_, err := io.WriteString(out, draw(w.Name, curves))
	return true, err
}

// place is where a percent is, from 0 to 1: each nine takes as much room.
func place(percent float64) float64 {
	nines := func(p float64) float64 { return -math.Log10(1 - p/100) }
	return nines(percent) / nines(percents[len(percents)-1])
}

func draw(title string, curves []curve) string {
	least, most := bounds(curves)
	x := func(percent float64) float64 {
		return plotLeft + place(percent)*(plotWidth-plotLeft-plotRight)
	}
	y := func(ms float64) float64 {
		share := (math.Log10(ms) - least) / (most - least)
		return plotHeight - plotBottom - share*(plotHeight-plotTop-plotBottom)
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="white"/><text x="%d" y="22" font-size="15">%s: latency by percentile, ms</text>`+"\n",
		plotWidth, plotHeight, plotLeft, html.EscapeString(title))
	for decade := least; decade <= most; decade++ {
		ms := math.Pow(10, decade)
		fmt.Fprintf(&s, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			plotLeft, plotWidth-plotRight, y(ms), y(ms), plotLeft-8, y(ms)+4, ms)
	}
	for _, percent := range plotTicks {
		fmt.Fprintf(&s, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%g %%</text>`+"\n",
			x(percent), x(percent), plotTop, plotHeight-plotBottom, x(percent), plotHeight-plotBottom+18, percent)
	}
	for i, c := range curves {
		colour := plotColours[i%len(plotColours)]
		dash := ""
		if i >= len(plotColours) {
			dash = ` stroke-dasharray="5 3"`
		}
		var points strings.Builder
		for _, p := range c.points {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(p.Percent), y(p.Milliseconds))
		}
		fmt.Fprintf(&s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.TrimSpace(points.String()), colour, dash)
		row := plotTop + 18*i
		fmt.Fprintf(&s, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="2"%s/><text x="%d" y="%d">%s</text>`+"\n",
			plotWidth-plotRight+12, plotWidth-plotRight+34, row, row, colour, dash, plotWidth-plotRight+40, row+4, html.EscapeString(c.name))
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// bounds are the decades, as powers of ten, between which all points are.
func bounds(curves []curve) (least, most float64) {
	least, most = math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, p := range c.points {
			d := math.Log10(p.Milliseconds)
			least, most = min(least, math.Floor(d)), max(most, math.Ceil(d))
		}
	}
	return least, max(most, least+1)
}
