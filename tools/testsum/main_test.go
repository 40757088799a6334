package main

import (
	"io"
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		events []string
		want   counts
		good   bool
		shown  string
	}{
		"subtests are counted, not the test around them": {
			events: []string{
				`{"Action":"pass","Package":"p","Test":"TestA/one"}`,
				`{"Action":"pass","Package":"p","Test":"TestA/two"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p","Test":"TestB"}`,
				`{"Action":"pass","Package":"p","Elapsed":1.25}`,
			},
			want: counts{passed: 3}, good: true, shown: "pass p (1.2 s)",
		},
		"a failure shows what the test said": {
			events: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"a.go:1: got 2\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`, `{"Action":"fail","Package":"p"}`,
			},
			want: counts{failed: 1}, shown: "a.go:1: got 2",
		},
		"a test that fails beside its good subtests counts": {
			events: []string{
				`{"Action":"pass","Package":"p","Test":"TestA/one"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`, `{"Action":"fail","Package":"p"}`,
			},
			want: counts{passed: 1, failed: 1},
		},
		"a skipped test is no success": {
			events: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"no server\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestB"}`, `{"Action":"pass","Package":"p"}`,
			},
			want: counts{passed: 1, skipped: 1}, shown: "no server",
		},
		"a package that can't be built": {
			events: []string{
				`{"ImportPath":"p","Action":"build-output","Output":"a.go:3: undefined: x\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`, `{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			},
			want: counts{failed: 1}, shown: "undefined: x",
		},
		"a panic shows the output of the test that it ended": {
			events: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: lost\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: counts{failed: 1}, shown: "panic: lost",
		},
		"a package whose tests were killed": {
			events: []string{`{"Action":"pass","Package":"q","Test":"TestA"}`, `{"Action":"pass","Package":"q"}`,
				`{"Action":"start","Package":"p"}`},
			want: counts{passed: 1, failed: 1}, shown: "FAIL p",
		},
		"a package without tests is no failure": {
			events: []string{`{"Action":"skip","Package":"q"}`, `{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p"}`},
			want: counts{passed: 1}, good: true,
		},
		"nothing ran": {want: counts{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			got, err := summarize(strings.NewReader(strings.Join(tt.events, "\n")), &out)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want || got.good() != tt.good {
				t.Errorf("got %v (good: %v), want %v (good: %v)", got, got.good(), tt.want, tt.good)
			}
			if !strings.Contains(out.String(), tt.shown) {
				t.Errorf("output %q does not hold %q", out.String(), tt.shown)
			}
		})
	}
}

func TestSummarizeReadError(t *testing.T) {
	t.Parallel()
	reader, writer := io.Pipe()
	if err := writer.CloseWithError(io.ErrUnexpectedEOF); err != nil {
		t.Fatal(err)
	}
	if _, err := summarize(reader, io.Discard); err == nil {
		t.Error("an error of the reader was lost")
	}
}
