package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/chromiumtest"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// hostile would be more than text if it were not escaped.
const hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>|`@octocat`\u202e\n"

// rail is the name of a guardrail.
const rail = "errors <b>|"

// history returns n executions of several playbooks, with their guardrail readings.
func history(t testing.TB, n int) ([]journal.Record, map[int64][]guard.Reading) {
	t.Helper()
	playbooks := []string{"adjust_canary_split", "rerun_dbt", "clear_cache", "rollback_planner"}
	statuses := []journal.Status{journal.StatusSuccess, journal.StatusSuccess, journal.StatusSuccess,
		journal.StatusFailed,
		journal.StatusSuccess, journal.StatusCancelled, journal.StatusSuccess, journal.StatusUnknown}
	high := 0.5
	watch, err := json.Marshal(guard.Watch{Rails: []guard.Rail{{Name: rail, Query: guard.Query{Prometheus: "errors"},
		Max: &high, OnBreach: guard.Warn}}, Baseline: []guard.Reading{{Name: rail, Value: new(float64),
		State: guard.Passed}}})
	if err != nil {
		t.Fatal(err)
	}
	readings := map[int64][]guard.Reading{}
	var records []journal.Record
	for i := range n {
		rec := journal.Record{
			ID: int64(i + 1), Journal: "4f9c2a17", Status: statuses[i%len(statuses)],
			CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Hour),
			Subject: journal.Subject{Playbook: playbooks[i%len(playbooks)], Target: fmt.Sprintf("target-%d", i%17),
				Incident: "INC-7"},
			Intent: journal.Intent{
				Params:     json.RawMessage(fmt.Sprintf(`{"version": "v%d"}`, i%3)),
				Preview:    json.RawMessage(fmt.Sprintf(`{"duration": 60000000000, "facts": {"target_percent": %d}}`, i*7%100)),
				ApprovedBy: fmt.Sprintf("person-%d@example.com", i%5),
			},
			Result: &journal.Result{Message: "2 models " + hostile, ActualDuration: float64(20 + i%90)},
		}
		if i%10 == 0 {
			rec.Intent.Guardrails = watch
			for step := range 12 {
				value := float64(step) / 15
				state := guard.Passed
				if value > high {
					state = guard.Breached
				}
				readings[rec.ID] = append(readings[rec.ID], guard.Reading{Name: rail, Value: &value, State: state})
			}
		}
		records = append(records, rec)
	}
	return records, readings
}

func written(t testing.TB, html string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAccPageOfManyExecutions opens a report of 5,000 executions as a user does: few nodes until the reader scrolls, a
// name for everything that a screen reader stops at, keys, no error, and no request to the network.
func TestAccPageOfManyExecutions(t *testing.T) {
	t.Parallel()
	const count, mostNodes = 5_000, 3_000
	records, readings := history(t, count)
	p := chromiumtest.Open(t, written(t, New("4f9c2a17", records, readings).HTML()))
	var nodes, rows int
	p.Eval(`(() => { let n = 0; const w = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
		while (w.nextNode()) n++; return n })()`, &nodes)
	if t.Logf("%d nodes", nodes); nodes > mostNodes {
		t.Errorf("the page has %d nodes before scrolling", nodes)
	}
	const countRows = `document.querySelectorAll("#rows tr").length`
	if p.Eval(countRows, &rows); rows != firstRows {
		t.Errorf("%d rows", rows)
	}
	var readings12 int
	p.Eval(`[...document.querySelectorAll("figcaption")].filter(f => f.textContent.includes("13 readings, 4 breached") &&
		f.textContent.includes("errors <b>|")).length`, &readings12)
	if readings12 != maxSparks {
		t.Errorf("%d guardrails", readings12)
	}
	if unnamed := p.Unnamed(); len(unnamed) > 0 {
		t.Errorf("without an accessible name: %v", unnamed)
	}
	for range 20 { // the keyboard reaches the button
		var id string
		if p.Eval(`document.activeElement.id`, &id); id == "more" {
			break
		}
		p.Press("Tab")
	}
	p.Press("Enter")
	p.Until(countRows + " > " + fmt.Sprint(firstRows))
	p.Eval(`dispatchEvent(new Event("beforeprint"))`, nil)
	if p.Eval(countRows, &rows); rows != count {
		t.Errorf("%d rows in print", rows)
	}
	var last string
	if p.Eval(`document.querySelector("#rows tr:last-child").textContent`, &last); !strings.HasPrefix(last, "4f9c2a17-1") ||
		!strings.Contains(last, "</script><script>alert(1)") {
		t.Errorf("the last row: %s", last)
	}
	if problems := p.Problems(); len(problems) > 0 {
		t.Errorf("%d problems: %s", len(problems), problems[0])
	}
}

// TestAccPageInDark opens the page with a dark color scheme: every text has a contrast of at least 4.5.
func TestAccPageInDark(t *testing.T) {
	t.Parallel()
	records, readings := history(t, 40)
	path := written(t, New("4f9c2a17", records, readings).HTML())
	for _, scheme := range []string{"light", "dark"} {
		p := chromiumtest.Open(t, path)
		p.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
			{"name": "prefers-color-scheme", "value": scheme}}}, nil)
		var low []string
		p.Eval(contrast, &low)
		if len(low) > 0 {
			t.Errorf("%s: too little contrast: %v", scheme, low)
		}
		if file := os.Getenv("REMEDIATION_SCREENSHOT"); file != "" {
			p.Screenshot(file + "-" + scheme + ".png")
		}
		if problems := p.Problems(); len(problems) > 0 {
			t.Errorf("%s: %s", scheme, problems[0])
		}
	}
}

// contrast lists the texts whose color is too close to the background.
const contrast = `(() => {
	const parse = c => c.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b]
		.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 })
		.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
	const low = [];
	for (const e of document.querySelectorAll("h1,h2,p,td,th,figcaption,span,caption,button,svg text")) {
		if (!e.textContent.trim()) continue;
		const style = getComputedStyle(e);
		const ink = light(parse(e.tagName === "text" ? style.fill : style.color));
		let at = e, back;
		do { back = parse(getComputedStyle(at).backgroundColor); at = at.parentElement } while (at && back[3] === 0);
		const paper = light(back[3] === 0 ? parse(getComputedStyle(document.body).backgroundColor) : back);
		const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
		if (ratio < 4.5) low.push(e.tagName + " " + e.className + " " + ratio.toFixed(1));
	}
	return low;
})()`

func TestPageIsSelfContained(t *testing.T) {
	t.Parallel()
	records, readings := history(t, 200)
	html := New("4f9c2a17", records, readings).HTML()
	for _, bad := range []string{"http:", "https:", "<img", "<script>alert", "\u202e", "@import", "url("} {
		if strings.Contains(html, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if empty := New("", nil, nil).HTML(); !strings.Contains(empty, "No executions.") {
		t.Errorf("an empty report:\n%s", empty)
	}
}

func TestMarkdownStaysWithinItsBudget(t *testing.T) {
	t.Parallel()
	records, readings := history(t, 500)
	for _, limit := range []int{4_000, 60_000} {
		out := New("4f9c2a17", records, readings).Markdown(limit)
		if len(out) > limit || !strings.Contains(out, "older executions left out") || strings.Contains(out, "\u202e") {
			t.Errorf("%d bytes of %d:\n%s", len(out), limit, out[:min(len(out), 2000)])
		}
	}
	out := New("4f9c2a17", records[:9], readings).Markdown(60_000)
	if strings.Count(out, "| `4f9c2a17-") != 9 || !strings.Contains(out, "9 executions from 2026-01-01 00:00") {
		t.Errorf("got\n%s", out)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	records, _ := history(t, 3)
	records = append(records, journal.Record{ID: 9, DryRun: true}, journal.Record{ID: 10, Status: journal.StatusSkipped})
	r := New("x", records, nil)
	if len(r.Executions) != 3 || r.Executions[0].ID != "4f9c2a17-3" || r.Executions[0].Estimate != 60 {
		t.Errorf("got %+v", r.Executions)
	}
}
