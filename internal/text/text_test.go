package text

import (
	"slices"
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
