package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/markup"
)

// Sizes of charts, in pixels, and limits of what they show.
const (
	chartWidth  = 760
	laneHeight  = 22
	labelColumn = 240
	sparkWidth  = 260
	sparkHeight = 56
	margin      = 6
	// maxLanes is how many targets, playbooks, or versions a chart shows.
	maxLanes = 12
	// maxSparks is how many guardrails are shown, the newest first.
	maxSparks = 24
	// maxLabel is how many characters of a label a chart shows.
	maxLabel = 34
)

// naming is what a screen reader says about a chart.
type naming struct{ id, name, description string }

// chart returns an SVG with the given content, and a name and a description for screen readers.
func chart(n naming, size [2]int, inside string) string {
	return fmt.Sprintf("<svg role=\"img\" aria-labelledby=\"%[1]s-t %[1]s-d\" viewBox=\"0 0 %[2]d %[3]d\" "+
		"width=\"%[2]d\" height=\"%[3]d\"><title id=\"%[1]s-t\">%[4]s</title><desc "+
		"id=\"%[1]s-d\">%[5]s</desc>%[6]s</svg>\n",
		n.id, size[0], size[1], markup.HTML(n.name), markup.HTML(n.description), inside)
}

func label(x, y int, class, s string) string {
	return fmt.Sprintf("<text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>", x, y, class,
		markup.HTML(markup.Cut(markup.Line(s), maxLabel)))
}

// span returns when the oldest and the newest execution began.
func (r Report) span() (from, to time.Time) {
	from, to = r.Executions[len(r.Executions)-1].Started, r.Executions[0].Started
	if !to.After(from) {
		to = from.Add(time.Second)
	}
	return from, to
}

// place returns the horizontal position of a time.
func place(at, from, to time.Time) float64 {
	share := at.Sub(from).Seconds() / to.Sub(from).Seconds()
	return labelColumn + share*(chartWidth-labelColumn-margin*2) + margin
}

// lanes assigns a lane to each of the most recent values that of returns. The other values share one more lane.
func (r Report) lanes(of func(Execution) string) (names []string, lane map[string]int) {
	lane = map[string]int{}
	for _, e := range r.Executions {
		name := of(e)
		if _, ok := lane[name]; ok || name == "" {
			continue
		}
		if len(names) == maxLanes {
			names = append(names, "others")
		}
		if len(names) < maxLanes {
			names = append(names, name)
		}
		lane[name] = len(names) - 1
	}
	return names, lane
}

// timeline returns a chart of when executions ran on each target. All executions with one status are one path.
func (r Report) timeline() string {
	from, to := r.span()
	names, lane := r.lanes(func(e Execution) string { return e.Target })
	paths := map[string]*strings.Builder{}
	for _, e := range r.Executions {
		b, ok := paths[e.Status]
		if !ok {
			b = &strings.Builder{}
			paths[e.Status] = b
		}
		fmt.Fprintf(b, "M%.1f %dv12", place(e.Started, from, to), lane[e.Target]*laneHeight+margin)
	}
	var b strings.Builder
	for i, name := range names {
		b.WriteString(label(0, i*laneHeight+16, "lane", name))
	}
	statuses, _ := r.statuses()
	for _, status := range statuses {
		fmt.Fprintf(&b, "<path class=\"mark %s\" d=\"%s\"/>", status, paths[status])
	}
	height := len(names)*laneHeight + 2*laneHeight
	b.WriteString(label(labelColumn, height-8, "axis", from.UTC().Format(timeFormat)))
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" class=\"axis\" text-anchor=\"end\">%s</text>", chartWidth, height-8,
		to.UTC().Format(timeFormat))
	return chart(naming{"timeline", "Timeline", "Executions by target and time. The table below lists them."},
		[2]int{chartWidth, height}, b.String())
}

// durations returns a chart that compares how long executions took with their estimates.
func (r Report) durations() string {
	totals := r.totals()
	totals = totals[:min(len(totals), maxLanes)]
	longest := 1.0
	for _, t := range totals {
		longest = max(longest, t.P90, t.Estimate)
	}
	wide := func(s float64) float64 { return s / longest * (chartWidth - labelColumn - 170) }
	var b strings.Builder
	for i, t := range totals {
		y := i * laneHeight
		b.WriteString(label(0, y+16, "lane", t.Playbook))
		fmt.Fprintf(&b, "<rect class=\"p90\" x=\"%d\" y=\"%d\" width=\"%.1f\" "+
			"height=\"10\"/>", labelColumn, y+margin, wide(t.P90))
		fmt.Fprintf(&b, "<rect class=\"median\" x=\"%d\" y=\"%d\" width=\"%.1f\" "+
			"height=\"10\"/>", labelColumn, y+margin,
			wide(t.Median))
		if t.Estimate > 0 {
			fmt.Fprintf(&b, "<path class=\"estimate\" d=\"M%.1f %dv16\"/>", labelColumn+wide(t.Estimate), y+3)
		}
		b.WriteString(label(chartWidth-160, y+16, "axis", seconds(t.Median)+", estimated "+seconds(t.Estimate)))
	}
	return chart(naming{"durations", "Durations and estimates", "Median duration, 90% within, and the estimate, per " +
		"playbook. The table below has the figures."}, [2]int{chartWidth, max(len(totals), 1) * laneHeight}, b.String())
}

// shares returns a chart of each version's share of the traffic over time, as steps, or "" if nothing moved traffic.
func (r Report) shares() string {
	moved := func(e Execution) string {
		if e.Share == nil {
			return ""
		}
		return e.Share.Version
	}
	names, lane := r.lanes(moved)
	if len(names) == 0 {
		return ""
	}
	from, to := r.span()
	const height = 44
	paths := make([]strings.Builder, len(names))
	last := make([]float64, len(names))
	for i := len(r.Executions) - 1; i >= 0; i-- { // oldest first
		e := r.Executions[i]
		if e.Share == nil {
			continue
		}
		n := lane[e.Share.Version]
		base := float64(n*height + height - margin)
		y := base - e.Share.Percent/100*(height-2*margin)
		if paths[n].Len() == 0 {
			fmt.Fprintf(&paths[n], "M%.1f %.1f", place(e.Started, from, to), y)
		} else {
			fmt.Fprintf(&paths[n], "H%.1fV%.1f", place(e.Started, from, to), y)
		}
		last[n] = e.Share.Percent
	}
	var b strings.Builder
	for i, name := range names {
		b.WriteString(label(0, i*height+height/2, "lane", fmt.Sprintf("%s: %g%%", name, last[i])))
		fmt.Fprintf(&b, "<path class=\"grid\" d=\"M%d %dH%d\"/>", labelColumn, i*height+height-margin, chartWidth)
		fmt.Fprintf(&b, "<path class=\"share\" d=\"%sH%d\"/>", paths[i].String(), chartWidth-margin)
	}
	return chart(naming{"shares", "Split of the traffic", "Share of each version over time, from 0% to 100%, and its " +
		"last value."},
		[2]int{chartWidth, len(names) * height}, b.String())
}

// spark returns a small chart of one guardrail's readings, with its bounds.
func spark(id string, e Execution, rail Rail) string {
	low, high := math.Inf(1), math.Inf(-1)
	widen := func(v *float64) {
		if v != nil {
			low, high = min(low, *v), max(high, *v)
		}
	}
	widen(rail.Min)
	widen(rail.Max)
	breached := 0
	for _, reading := range rail.Readings {
		widen(reading.Value)
		if reading.State == guard.Breached {
			breached++
		}
	}
	if math.IsInf(low, 1) {
		low, high = 0, 1
	}
	if high == low {
		high = low + 1
	}
	y := func(v float64) float64 { return sparkHeight - margin - (v-low)/(high-low)*(sparkHeight-2*margin) }
	var line, bad, bounds strings.Builder
	for i, reading := range rail.Readings {
		if reading.Value == nil {
			continue
		}
		x := margin + float64(i)/float64(max(len(rail.Readings)-1, 1))*(sparkWidth-2*margin)
		command := "L"
		if line.Len() == 0 {
			command = "M"
		}
		fmt.Fprintf(&line, "%s%.1f %.1f", command, x, y(*reading.Value))
		if reading.State == guard.Breached {
			fmt.Fprintf(&bad, "M%.1f %.1fh.1", x, y(*reading.Value))
		}
	}
	for _, bound := range []*float64{rail.Min, rail.Max} {
		if bound != nil {
			fmt.Fprintf(&bounds, "M0 %.1fH%d", y(*bound), sparkWidth)
		}
	}
	inside := fmt.Sprintf("<path class=\"bound\" d=\"%s\"/><path class=\"share\" d=\"%s\"/><path class=\"mark %s "+
		"dot\" d=\"%s\"/>",
		bounds.String(), line.String(), journal.StatusFailed, bad.String())
	description := fmt.Sprintf("%d readings, %d breached. The first one is from before the "+
		"execution.", len(rail.Readings),
		breached)
	return fmt.Sprintf("<figure>%s<figcaption>%s <span class=\"dim\">%s, %s</span></figcaption></figure>\n",
		chart(naming{id, "Guardrail " + rail.Name + " of " + e.ID, description}, [2]int{sparkWidth, sparkHeight},
			inside),
		markup.HTML(markup.Cut(markup.Line(rail.Name), maxLabel)), markup.HTML(e.ID), markup.HTML(description))
}
