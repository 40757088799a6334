package tfkit

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// TestDiagnosticsShowHiddenCharacters checks that a target's message can't overwrite lines on a terminal or turn the
// text around.
func TestDiagnosticsShowHiddenCharacters(t *testing.T) {
	t.Parallel()
	var diags diag.Diagnostics
	addError(&diags, &problem.Problem{What: "a\x1b[2K failed", Why: "one\ntwo\u202e"}, "", nil)
	addError(&diags, &problem.Problem{What: "b\x1b[2K failed", Path: []string{"dbt"}}, "",
		func(string) bool { return false })
	addWarning(&diags, "c\x1b[2K", "d\x1b[2K")
	for i, want := range [][2]string{{"a<U+001B>[2K failed", "one\ntwo<U+202E>"},
		{"b<U+001B>[2K failed", "\n\nProvider setting: dbt"}, {"c<U+001B>[2K", "d<U+001B>[2K"}} {
		if got := diags[i]; got.Summary() != want[0] || got.Detail() != want[1] {
			t.Errorf("got %q, %q", got.Summary(), got.Detail())
		}
	}
}
