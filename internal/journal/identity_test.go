package journal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

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

func TestMark(t *testing.T) {
	t.Parallel()
	m := Mark{Journal: "4f9c2a17", Head: Head{Seq: 12, Hash: strings.Repeat("0123456789abcdef", 4)}}
	if got, ok := ParseMark(m.Short().String()); !ok || got != m.Short() || len(got.Hash) != 24 {
		t.Errorf("%s is parsed as %+v, %v", m.Short(), got, ok)
	}
	const longest = 28 // its base64 is in the state of every resource, in base64
	if len(m.Short().String()) > longest {
		t.Errorf("%s is longer than %d characters", m.Short(), longest)
	}
	for range 1000 { // also with the "-" of base64
		m.Hash = fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) //nolint:gosec // any digits
		if got, ok := ParseMark(m.Short().String()); !ok || got != m.Short() {
			t.Fatalf("%s is parsed as %+v, %v", m.Short(), got, ok)
		}
		if got, ok := ParseMark("4f9c2a17-12-" + m.Hash); !ok || got != m { // as earlier states have it
			t.Fatalf("%s is parsed as %+v, %v", m.Hash, got, ok)
		}
	}
	for _, text := range []string{"", "4f9c2a17", "4f9c2a17-12", "-12-00", "a-x-00", "a--1-00", "a-1-0-0",
		"4f9c2a17-12-" + strings.Repeat("z", 64)} {
		if got, ok := ParseMark(text); ok {
			t.Errorf("%q is parsed as %+v", text, got)
		}
	}
}
