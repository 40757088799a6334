// Command testsum reads the output of "go test -json" and prints it for people: a line a package, all that a failed or
// skipped test said, and as the last line the counts of tests, such as "123 passed, 0 failed, 0 skipped". It exits with
// 1 where a test failed or was skipped, where a package could not be built, and where no test ran at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	counts, err := summarize(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	fmt.Println(counts)
	if !counts.good() {
		os.Exit(1)
	}
}

// counts is the number of tests by how they ended. A test with subtests is not counted beside them, unless it ended
// otherwise than they did. A package that failed without a failed test counts as one failure.
type counts struct{ passed, failed, skipped int }

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

func (c counts) good() bool { return c.passed > 0 && c.failed == 0 && c.skipped == 0 }

// event is a line of "go test -json"; see "go doc test2json" and "go help buildjson".
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// run is what is known of one package while its tests run.
type run struct {
	output map[string][]string // by test; "" is the package's own
	ended  map[string]string   // by test: pass, fail or skip
	failed int
}

// summarize copies what a person needs to see from in to out, and counts.
func summarize(in io.Reader, out io.Writer) (counts, error) {
	var total counts
	runs := map[string]*run{}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if text := strings.TrimRight(line, "\n"); text != "" {
			var e event
			if json.Unmarshal([]byte(text), &e) != nil {
				fmt.Fprintln(out, text)
			} else {
				handle(e, runs, &total, out)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return total, fmt.Errorf("read the tests' output: %w", err)
		}
	}
	for name, r := range runs {
		fmt.Fprintf(out, "FAIL %s: its output ends before it does\n%s", name, strings.Join(r.output[""], ""))
		total.failed++
	}
	return total, nil
}

func handle(e event, runs map[string]*run, total *counts, out io.Writer) {
	if e.Action == "build-output" {
		fmt.Fprint(out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	r := runs[e.Package]
	if r == nil {
		r = &run{output: map[string][]string{}, ended: map[string]string{}}
		runs[e.Package] = r
	}
	switch e.Action {
	case "output":
		r.output[e.Test] = append(r.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			r.endTest(e, out)
			return
		}
		r.endPackage(e, total, out)
		delete(runs, e.Package)
	}
}

func (r *run) endTest(e event, out io.Writer) {
	r.ended[e.Test] = e.Action
	if e.Action != "pass" {
		fmt.Fprintf(out, "%s\n", e.Package)
		fmt.Fprint(out, strings.Join(r.output[e.Test], ""))
	}
	delete(r.output, e.Test)
}

func (r *run) endPackage(e event, total *counts, out io.Writer) {
	before := *total
	covered := map[string]string{} // a test with subtests, and the worst that became of them
	for test, how := range r.ended {
		for parent := test; strings.Contains(parent, "/"); {
			parent = parent[:strings.LastIndex(parent, "/")]
			covered[parent] = worse(covered[parent], how)
		}
	}
	for test, how := range r.ended {
		if covered[test] != how {
			total.add(how)
		}
	}
	if e.Action == "fail" && total.failed == before.failed {
		total.failed++
	}
	if e.Action == "fail" {
		fmt.Fprint(out, strings.Join(r.unfinished(), ""), strings.Join(r.output[""], ""))
	}
	if ran := len(r.ended); ran > 0 || e.Action == "fail" {
		fmt.Fprintf(out, "%-4s %s (%.1f s)\n", e.Action, e.Package, e.Elapsed)
	}
}

// unfinished is the output of tests that began and never ended, as after a panic or a timeout.
func (r *run) unfinished() []string {
	var lines []string
	for test, output := range r.output {
		if test != "" {
			lines = append(lines, output...)
		}
	}
	return lines
}

func (c *counts) add(how string) {
	switch how {
	case "pass":
		c.passed++
	case "fail":
		c.failed++
	case "skip":
		c.skipped++
	}
}

// worse is the one of two endings that matters more: fail, skip, pass, none.
func worse(a, b string) string {
	for _, how := range []string{"fail", "skip", "pass"} {
		if a == how || b == how {
			return how
		}
	}
	return ""
}
