package main

import (
	"strings"
	"testing"
)

const output = `goos: linux
BenchmarkScale/cache_clear/10-2 	1	0.6648 apply-s	3.128 apply/bare	2.4 apply/padded	0.45 cpu-s	0.50 noop-s	50.02 peak-MB	0.34 plan-s	5146 state-B
BenchmarkScale/bare/10-2 	1	0.2126 apply-s	1.000 apply/bare	453.0 state-B
BenchmarkAppend-2 	10	120 ns/op	1.50 append/insert	3.0 µs/append
PASS
`

func TestRatiosAndGrowthBecomeTables(t *testing.T) {
	t.Parallel()
	results, err := read(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	got := tables(results)
	for _, want := range []string{
		"| `Scale/cache_clear/10` apply | bare | 3.13 |\n",
		"| `Append` append | insert | 1.50 |\n",
		"| 10 | `remediation_cache_clear` | 0.34 | 0.66 | 0.50 | 0.45 | 50 | 5146 |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the tables lack %q:\n%s", want, got)
		}
	}
	for _, unwanted := range []string{"`Scale/bare/10` apply", "ns/op", "µs"} {
		if strings.Contains(got, unwanted) {
			t.Errorf("the tables hold %q:\n%s", unwanted, got)
		}
	}
}

func TestAFailedBenchmarkIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", output + "--- FAIL: BenchmarkDBT\n"} {
		if _, err := read(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestOnlyWhatIsBetweenTheMarkersIsReplaced(t *testing.T) {
	t.Parallel()
	got, err := replace("before\n"+begin+"old\n"+end+"after\n", "new\n")
	if want := "before\n" + begin + "\nnew\n\n" + end + "after\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := replace("no markers", "new\n"); err == nil {
		t.Error("a file without markers was written")
	}
}
