package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/markup"
	"github.com/applylens/terraform-provider-remediation/internal/page"
)

// firstRows is how many rows of the table are in the page from the start. A script adds the rest as a reader scrolls:
// a table of thousands of rows would take seconds to lay out.
const firstRows = 60

const style = `
svg { max-width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--text); } svg .axis { fill: var(--dim); }
svg path { fill: none; } .mark { stroke-width: 2; stroke: var(--dim); } .dot { stroke-width: 5; stroke-linecap: round; }
svg .success { stroke: var(--good); } svg .failed { stroke: var(--bad); }
svg .cancelled, svg .unknown { stroke: var(--warn); } svg .running, svg .pending { stroke: var(--mark); }
.share { stroke: var(--mark); stroke-width: 2; } .grid { stroke: var(--line); } .bound { stroke: var(--bad);
  stroke-dasharray: 3 3; } .estimate { stroke: var(--text); stroke-width: 2; }
rect.p90 { fill: var(--line); } rect.median { fill: var(--mark); }
.sparks { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; max-width: 260px; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
caption { text-align: left; } #rows th, #rows td:nth-child(2), #rows td:nth-child(3), #rows td:nth-child(5),
  #rows td:nth-child(6) { white-space: nowrap; } #rows td:nth-child(4), #rows td:nth-child(9) { min-width: 9rem; }
.scroll { overflow-x: auto; } button { font: inherit; padding: .35rem .8rem; margin: .75rem 0; color: var(--text);
  background: var(--box); border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
`

// script adds rows to the table: 100 more whenever its end comes into view or the button is pressed, and all of them
// before the page is printed. It inserts cells as text, never as HTML.
const script = `
const rest = JSON.parse(document.getElementById("rest").textContent), body = document.getElementById("rows"),
  more = document.getElementById("more"), state = document.getElementById("state");
let next = 0;
function add(count) {
  const part = document.createDocumentFragment();
  for (const row of rest.slice(next, next + count)) {
    const tr = document.createElement("tr");
    row.forEach((cell, i) => {
      const td = document.createElement(i === 0 ? "th" : "td");
      if (i === 0) td.scope = "row";
      if (i === 4) td.className = cell;
      td.textContent = cell;
      tr.append(td);
    });
    part.append(tr);
  }
  body.append(part);
  next = Math.min(next + count, rest.length);
  state.textContent = next < rest.length ? (rest.length - next) + " older executions are not shown yet." : "";
  more.hidden = next >= rest.length;
}
more.addEventListener("click", () => add(100));
new IntersectionObserver(seen => { if (seen[0].isIntersecting && window.scrollY > 0) add(100); }).observe(more);
addEventListener("beforeprint", () => add(rest.length));
add(0);
`

// HTML returns the report as one self-contained page.
func (r Report) HTML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<h1>Remediation history</h1>\n<p class=\"dim\">%s</p>\n", markup.HTML(r.summary()))
	p := page.Page{Title: "Remediation history", Style: style}
	if len(r.Executions) == 0 {
		p.Body = b.String()
		return p.HTML()
	}
	section(&b, "Timeline", r.timeline())
	section(&b, "Durations against estimates", r.durations()+r.totalsTable())
	section(&b, "Split of the traffic over time", r.shares())
	section(&b, "Guardrails", r.sparks())
	section(&b, "Approvals", r.approvalsTable())
	section(&b, "Executions", r.executionsTable())
	if len(r.Executions) > firstRows {
		rest, err := json.Marshal(r.rows()[firstRows:])
		if err == nil { // text always encodes, and <, >, and & are escaped
			fmt.Fprintf(&b, "<p class=\"screen\"><button id=\"more\" type=\"button\">Show 100 more</button> "+
				"<span id=\"state\" role=\"status\" class=\"dim\"></span></p>\n"+
				"<script id=\"rest\" type=\"application/json\">%s</script>\n", rest)
			p.Script = script
		}
	}
	p.Body = b.String()
	return p.HTML()
}

// section writes a heading with its content, or nothing if there is none.
func section(b *strings.Builder, title, content string) {
	if content != "" {
		fmt.Fprintf(b, "<section><h2>%s</h2>\n%s</section>\n", title, content)
	}
}

// table returns a table that can be scrolled with the keyboard if it is wide.
func table(caption string, heads []string, rows, id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<div class=\"scroll\" role=\"region\" aria-label=\"%[1]s\" tabindex=\"0\"><table>"+
		"<caption class=\"dim\">%[1]s</caption>\n<thead><tr>", markup.HTML(caption))
	for _, head := range heads {
		fmt.Fprintf(&b, "<th scope=\"col\">%s</th>", head)
	}
	fmt.Fprintf(&b, "</tr></thead>\n<tbody%s>\n%s</tbody>\n</table></div>\n", id, rows)
	return b.String()
}

func (r Report) totalsTable() string {
	var b strings.Builder
	for _, t := range r.totals() {
		fmt.Fprintf(&b, "<tr><th scope=\"row\">%s</th><td>%d</td><td>%d</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
			markup.HTML(t.Playbook), t.Count, t.Succeeded, seconds(t.Median), seconds(t.P90), seconds(t.Estimate))
	}
	return table("Durations per playbook", []string{"Playbook", "Executions", "Succeeded", "Median", "90% within",
		"Estimate"}, b.String(), "")
}

func (r Report) approvalsTable() string {
	var b strings.Builder
	approvers := r.approvers()
	for _, a := range approvers[:min(len(approvers), maxLanes)] {
		fmt.Fprintf(&b, "<tr><th scope=\"row\">%s</th><td>%d</td><td>%d</td></tr>\n",
			markup.HTML(markup.Cut(markup.Line(a.who), maxCell)), a.count, a.signed)
	}
	if b.Len() == 0 {
		return ""
	}
	return table("Executions by who approved them", []string{"Approved by", "Executions", "Signed"}, b.String(), "")
}

// sparks returns the charts of the newest guardrails that have readings, or "".
func (r Report) sparks() string {
	var b strings.Builder
	shown := 0
	for _, e := range r.Executions {
		for _, rail := range e.Rails {
			if len(rail.Readings) == 0 || shown == maxSparks {
				continue
			}
			b.WriteString(spark(fmt.Sprintf("rail-%d", shown), e, rail))
			shown++
		}
	}
	if shown == 0 {
		return ""
	}
	return "<div class=\"sparks\">\n" + b.String() + "</div>\n"
}

// rows returns the cells of the table of executions.
func (r Report) rows() [][]string {
	rows := make([][]string, len(r.Executions))
	for i, e := range r.Executions {
		cut := func(s string) string { return markup.Cut(markup.Line(s), maxCell) }
		rows[i] = []string{e.ID, e.Started.UTC().Format(time.DateTime), cut(e.Playbook), cut(e.Target), e.Status,
			seconds(e.Seconds), cut(e.ApprovedBy), cut(e.Incident), cut(e.Message)}
	}
	return rows
}

func (r Report) executionsTable() string {
	var b strings.Builder
	rows := r.rows()
	for _, row := range rows[:min(len(rows), firstRows)] {
		for i, cell := range row {
			switch i {
			case 0:
				fmt.Fprintf(&b, "<tr><th scope=\"row\">%s</th>", markup.HTML(cell))
			case 4:
				fmt.Fprintf(&b, "<td class=\"%s\">%s</td>", markup.HTML(cell), markup.HTML(cell))
			default:
				fmt.Fprintf(&b, "<td>%s</td>", markup.HTML(cell))
			}
		}
		b.WriteString("</tr>\n")
	}
	return table("Executions, newest first. Times are UTC.", []string{"Execution", "Started", "Playbook", "Target",
		"Status", "Took", "Approved by", "Incident", "Message"}, b.String(), ` id="rows"`)
}
