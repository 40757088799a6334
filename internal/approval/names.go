package approval

import (
	"fmt"
	"slices"
	"strings"
)

// Names decides which names count without a signature.
type Names struct {
	// Any makes every name count, because expected_digest pins the preview or the execution is a retry.
	Any bool
	// Unseen reports that no plan has shown the preview. A name never approves a preview that nobody could see.
	Unseen bool
	// Adopted reports that the journal was adopted, and nothing has run on the target since: the journal may lack
	// executions that used a name.
	Adopted bool
	// Used are names under which the target was changed before the preview was shown. A name left in the configuration
	// must not approve the next change.
	Used []string
	// Broken are names under which an approval with break_glass was used on the target before the preview was shown.
	// One left in the configuration must not break the next freeze.
	Broken []string
}

// refuse describes why a name without a signature doesn't count, or returns "".
func (n Names) refuse(name, digest string) string {
	pin := fmt.Sprintf("set expected_digest = %q to approve this change by "+
		"name", strings.TrimPrefix(digest, digestPrefix))
	switch {
	case n.Any:
		return ""
	case n.Unseen:
		return "no plan has shown this change, so a name can't approve it; plan again"
	case n.Adopted:
		return "the journal was adopted since, which voids earlier approvals; " + pin
	case slices.ContainsFunc(n.Used, func(used string) bool { return sameName(used, name) }):
		return "an earlier execution on this target used this name; " + pin
	default:
		return ""
	}
}

// refuseBreakGlass describes why a break-glass approval without a signature doesn't count, or returns "".
func (n Names) refuseBreakGlass(name, digest string) string {
	if !n.Any && slices.ContainsFunc(n.Broken, func(used string) bool { return sameName(used, name) }) {
		return "its break_glass was used by an earlier execution on this target, and is for one execution; set " +
			fmt.Sprintf("expected_digest = %q to use it for this change", strings.TrimPrefix(digest, digestPrefix))
	}
	return ""
}

// sameName reports whether two names have the same canonical spelling or, if the first has none, differ only in case.
func sameName(a, b string) bool {
	first, err := Canonical(a)
	if err != nil {
		return strings.EqualFold(a, b)
	}
	second, err := Canonical(b)
	return err == nil && first == second
}
