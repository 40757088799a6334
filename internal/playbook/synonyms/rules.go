package synonyms

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// mostPast is how many of the newest executions are looked through for one that succeeded.
const mostPast = 20

// compareRules adds the difference between the rules of a synonyms set and those that the last successful execution
// recorded. A journal that can't be read is reported elsewhere.
func compareRules(ctx context.Context, p *playbook.Preview, source string) {
	now, ok := recordedRules(p.Content)
	if !ok {
		return
	}
	past, err := playbook.PastOf(ctx, mostPast)
	if err != nil {
		return
	}
	line := "Rules: loaded for the first time, " + text.Count(int64(now.count), "rule")
	for _, execution := range past {
		var facts Facts
		if execution.Status != succeeded || json.Unmarshal(execution.Facts, &facts) != nil || facts.Source != source {
			continue
		}
		if before, ok := recordedRules(execution.Content); ok {
			line = fmt.Sprintf("Rules since execution %d: %s", execution.ID, now.since(before))
			break
		}
	}
	p.Figures = append(p.Figures, line)
}

// succeeded is the status of an execution that loaded its rules.
const succeeded = "success"

// rules are the rules of a set as the content of a preview records them: all of them, or only their number and sum.
type rules struct {
	all   []string
	count int
	sum   string
}

// recordedRules reads the rules from a preview's content, from this process or from the journal.
func recordedRules(content any) (rules, bool) {
	encoded, err := json.Marshal(content)
	if err != nil {
		return rules{}, false
	}
	var recorded struct {
		Rules json.RawMessage `json:"rules"`
		Sum   string          `json:"rules_sha256"`
	}
	if json.Unmarshal(encoded, &recorded) != nil || recorded.Rules == nil {
		return rules{}, false
	}
	r := rules{sum: recorded.Sum}
	if json.Unmarshal(recorded.Rules, &r.all) == nil {
		r.count = len(r.all)
		return r, true
	}
	return r, json.Unmarshal(recorded.Rules, &r.count) == nil
}

// since describes how the rules differ from earlier ones.
func (r rules) since(before rules) string {
	if r.sum != "" || before.sum != "" {
		if r.sum == before.sum {
			return "unchanged"
		}
		return fmt.Sprintf("%d instead of %d; the differences are recorded only for up to %d rules", r.count,
			before.count,
			shownInContent)
	}
	added, removed := without(r.all, before.all), without(before.all, r.all)
	if len(added)+len(removed) == 0 {
		return "unchanged"
	}
	line := fmt.Sprintf("+%d, -%d", len(added), len(removed))
	var parts []string
	if len(added) > 0 {
		parts = append(parts, "added: "+shorten(added))
	}
	if len(removed) > 0 {
		parts = append(parts, "removed: "+shorten(removed))
	}
	return line + " (" + strings.Join(parts, "; ") + ")"
}
