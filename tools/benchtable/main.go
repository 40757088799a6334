// Command benchtable reads the output of "go test -bench" and writes the figures as Markdown tables between two markers
// of a file:
//
//	benchtable FILE <output
//
// Without FILE it prints them only.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	begin = "<!-- figures: begin, written by make bench -->\n"
	end   = "<!-- figures: end -->\n"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run(files []string) error {
	results, err := read(os.Stdin)
	if err != nil {
		return err
	}
	text := tables(results)
	fmt.Print(text)
	if len(files) == 0 {
		return nil
	}
	was, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	now, err := replace(string(was), text)
	if err != nil {
		return fmt.Errorf("%s: %w", files[0], err)
	}
	const public = 0o644
	return os.WriteFile(files[0], []byte(now), public)
}

// replace puts text between the markers.
func replace(file, text string) (string, error) {
	before, rest, found := strings.Cut(file, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", errors.New("the markers of the figures are missing")
	}
	return before + begin + "\n" + text + "\n" + end + after, nil
}

// result is one benchmark with its metrics by unit.
type result struct {
	name    string
	metrics map[string]float64
}

// read returns the benchmarks in the order of the output. A benchmark that failed is an error.
func read(in io.Reader) ([]result, error) {
	var all []result
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 0 && (fields[0] == "FAIL" || fields[0] == "---") {
			return nil, errors.New("a benchmark failed")
		}
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		r := result{name: processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), ""),
			metrics: map[string]float64{}}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.metrics[fields[i+1]] = v
			}
		}
		if len(r.metrics) > 0 {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no benchmark ran")
	}
	return all, lines.Err()
}

// processors is the number of processors at the end of a benchmark's name.
var processors = regexp.MustCompile(`-\d+$`)

// tables are the ratios, and how cost grows with the number of resources.
func tables(all []result) string {
	var b strings.Builder
	b.WriteString("| Measured | Beside | Ratio |\n|---|---|---|\n")
	for _, r := range all {
		for _, unit := range sorted(r.metrics) {
			ours, theirs, isRatio := strings.Cut(unit, "/")
			// What is compared with bare in a row of bare itself says nothing.
			if !isRatio || unit == "ns/op" || strings.HasPrefix(unit, "µs/") || strings.HasPrefix(r.name, "Scale/bare") ||
				strings.HasPrefix(r.name, "Scale/terraform_data") {
				continue
			}
			fmt.Fprintf(&b, "| `%s` %s | %s | %.2f |\n", r.name, ours, theirs, r.metrics[unit])
		}
	}
	b.WriteString("\n| Resources | Kind | Plan (s) | Apply (s) | Plan, nothing to do (s) | Provider CPU (s) | " +
		"Provider memory (MB) | State per resource (bytes) |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		parts := strings.Split(r.name, "/")
		if _, grows := r.metrics["state-B"]; !grows || len(parts) < 3 {
			continue
		}
		kind := strings.NewReplacer("cache_clear", "`remediation_cache_clear`", "terraform_data", "`terraform_data`",
			",_", ", ").Replace(parts[1])
		m := r.metrics
		fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f |\n", parts[2], kind, m["plan-s"], m["apply-s"],
			m["noop-s"], m["cpu-s"], m["peak-MB"], m["state-B"])
	}
	return b.String()
}

func sorted(m map[string]float64) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
