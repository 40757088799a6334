package problem

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	inner := &Problem{What: "What", Why: "Why", Next: "Next", Err: cause}
	wrapped := fmt.Errorf("around: %w", inner)
	if got := Of(wrapped, "other"); got != inner {
		t.Errorf("got %v", got)
	}
	if !errors.Is(wrapped, cause) {
		t.Error("the cause is lost")
	}
	plain := Of(cause, "Summary")
	if plain.What != "Summary" || plain.Why != "cause" || !errors.Is(plain, cause) {
		t.Errorf("got %+v", plain)
	}
	if ended := (&Problem{What: "What", Why: "Why.", Next: "Next."}).Error(); ended != "What: Why. Next." {
		t.Errorf("text %q", ended)
	}
	if inner.Error() != "What: Why: Next" || inner.Detail() != "Why\n\nNext" {
		t.Errorf("texts %q, %q", inner.Error(), inner.Detail())
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	for want, path := range map[string][]string{
		"models[1]": {"models", "1"}, "approval.freeze[0].name": {"approval", "freeze", "0", "name"},
		`planner.haproxy.servers["v.1"]`: {"planner", "haproxy", "servers", Key("v.1")}, "": nil,
	} {
		if got := Where(path); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if _, ok := IsKey("name"); ok {
		t.Error("a name is taken for a key")
	}
}
