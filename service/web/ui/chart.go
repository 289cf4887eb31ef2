package ui

import (
	"strconv"
	"strings"
)

// Bar is one value of a chart. Text says it in words.
type Bar struct {
	Label string
	Value int64
	Text  string
}

// The measures of a chart, in the units of its view box.
const (
	chartWidth  = 720
	chartHeight = 150
	chartGap    = 3
)

// bar is where a bar stands.
type bar struct {
	X, Y, Width, Height string
	Text                string
}

// place works out where the bars of a chart stand: the highest is as high as the chart, and one that is not zero can be seen.
func place(bars []Bar) []bar {
	var top int64 = 1
	for _, b := range bars {
		top = max(top, b.Value)
	}
	out := make([]bar, len(bars))
	wide := float64(chartWidth) / float64(max(len(bars), 1))
	for i, b := range bars {
		high := float64(max(b.Value, 0)) / float64(top) * chartHeight
		if b.Value > 0 {
			high = max(high, 2)
		}
		out[i] = bar{X: number(float64(i)*wide + chartGap/2.0), Y: number(chartHeight - high), Width: number(wide - chartGap), Height: number(high), Text: b.Text}
	}
	return out
}

// The measures of a small chart.
const (
	sparkWidth  = 300
	sparkHeight = 44
)

// sparks is the path of the bars of a small chart: what is not zero can be seen.
func sparks(values []int64) string {
	var top int64 = 1
	for _, n := range values {
		top = max(top, n)
	}
	var b strings.Builder
	wide := sparkWidth / float64(max(len(values), 1))
	for i, n := range values {
		if n <= 0 {
			continue
		}
		high := max(float64(n)/float64(top)*sparkHeight, 1.5)
		b.WriteString("M" + number(float64(i)*wide+0.5) + " " + number(sparkHeight-high) + "h" + number(wide-1) + "v" + number(high) + "h-" + number(wide-1) + "z")
	}
	return b.String()
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
