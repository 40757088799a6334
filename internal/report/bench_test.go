package report

import (
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/chromiumtest"
)

// BenchmarkPage measures how long Chromium takes to open a report of 5,000 executions, and how many nodes it then has.
func BenchmarkPage(b *testing.B) {
	const count = 5_000
	records, readings := history(b, count)
	for range b.N {
		p := chromiumtest.Open(b, written(b, New("4f9c2a17", records, readings).HTML()))
		const loaded = `performance.getEntriesByType("navigation")[0].loadEventEnd`
		p.Until(loaded + " > 0")
		var ms float64
		var nodes int
		p.Eval(loaded, &ms)
		p.Eval(`document.querySelectorAll("*").length`, &nodes)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(ms, "chromium-ms")
		b.ReportMetric(float64(nodes), "elements")
	}
}
