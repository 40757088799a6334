package text

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"1 rule": Count(1, "rule"), "0 rules": Count(0, "rule"), "12 entries": Count(12, "entry"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"inbox_emails", "outbox", "inbux", "zebra"}
	if got := Nearest("inbox", names); !slices.Equal(got, []string{"inbux", "inbox_emails"}) {
		t.Errorf("got %q", got)
	}
	if got := DidYouMean("INBOX", names); got != " Did you mean inbux, inbox_emails?" {
		t.Errorf("got %q", got)
	}
	if got := DidYouMean("x", names); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestUnlikeSharesNoLine alternates between two layouts, and returns to the plain one.
func TestUnlikeSharesNoLine(t *testing.T) {
	t.Parallel()
	const first, second = "1st of x on y\nChanges     a\n            b\nUndo        none\n",
		"2nd of x on y\nChanges     a\n            b\nUndo        none\n"
	shown := Unlike(second, first)
	for line := range strings.Lines(shown) {
		if slices.Contains(slices.Collect(strings.Lines(first)), line) {
			t.Errorf("both have %q", line)
		}
	}
	if got := Outdented(shown); got != second {
		t.Errorf("plain again: %q", got)
	}
	if strings.Count(shown, "\n") == strings.Count(first, "\n") {
		t.Errorf("Terraform 1.15 pairs texts of as many lines: %q", shown)
	}
	third := Unlike(second, Indented(first))
	if strings.Count(third, "\n") == strings.Count(first, "\n") || Outdented(third) != second {
		t.Errorf("after an indented one of as many lines: %q", third)
	}
	for name, got := range map[string]string{
		"after an indented one": Unlike(second, shown), "without an earlier one": Unlike(second, ""),
		"already plain": Outdented(second),
	} {
		if got != second {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := Unlike(first, "Skipped: run_if is false.\n"); got != first {
		t.Errorf("after a text of one line: %q", got)
	}
}

// TestJSONProblemHasNoJargon reads what the decoder of Go says about broken files.
func TestJSONProblemHasNoJargon(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`{"share": 1`:              "The text ends before the JSON is complete.",
		``:                         "It is empty.",
		"{\n\"share\": x}":         "Line 2 is not JSON: invalid character 'x' looking for beginning of value.",
		`{"share": "10"}`:          "share is a string.",
		`{"share": 1, "weight":2}`: `It has the unknown name "weight".`,
	} {
		var into struct {
			Share int `json:"share"`
		}
		decoder := json.NewDecoder(strings.NewReader(content))
		decoder.DisallowUnknownFields()
		if got := JSONProblem(decoder.Decode(&into), []byte(content)); got != want {
			t.Errorf("%s: %q, want %q", content, got, want)
		}
	}
}

func TestCapitalized(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "a b": "A b", "état": "État", "7 rows": "7 rows"} {
		if got := Capitalized(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
