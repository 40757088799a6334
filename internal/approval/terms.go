package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gowebpki/jcs"
	"golang.org/x/crypto/ssh"

	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Terms are the requirements of a policy. The journal stores them with each execution to detect a later policy that
// requires less.
type Terms struct {
	Approvers          []string      `json:"approvers,omitempty"` // groups resolved
	Minimum            int           `json:"minimum,omitempty"`
	SeparationOfDuties bool          `json:"separation_of_duties,omitempty"`
	MaxAge             time.Duration `json:"max_age,omitempty"` // nanoseconds
	SignaturesRequired bool          `json:"signatures_required,omitempty"`
	Signers            []string      `json:"signers,omitempty"`
	Aliases            []string      `json:"aliases,omitempty"`
	Rules              []Rule        `json:"rules,omitempty"`
	Freeze             []Freeze      `json:"freeze,omitempty"`
	Maintenance        []Freeze      `json:"maintenance,omitempty"`
	Forge              string        `json:"forge,omitempty"`
	// Requester is the configured requester. It is empty if the environment names the requester.
	Requester       string   `json:"requester,omitempty"`
	RunnerApprovers []string `json:"runner_approvers,omitempty"`
}

// Terms returns the requirements of p, with groups resolved. Lists of approvers, signers, and aliases are sorted.
func (p Policy) Terms() Terms {
	t := Terms{
		Approvers: p.resolved(p.Approvers), Minimum: p.Minimum, SeparationOfDuties: p.SeparationOfDuties,
		MaxAge:             p.MaxAge,
		SignaturesRequired: p.SignaturesRequired, Rules: slices.Clone(p.Rules), Freeze: slices.Clone(p.Freeze),
		Forge: p.Forge, Maintenance: slices.Clone(p.Maintenance), RunnerApprovers: p.resolved(p.RunnerApprovers),
	}
	if p.SeparationOfDuties {
		t.Requester = p.Requester
	}
	for _, s := range p.Signers {
		t.Signers = append(t.Signers, s.String())
	}
	for main, others := range p.Aliases {
		t.Aliases = append(t.Aliases, main+": "+strings.Join(others, ", "))
	}
	slices.Sort(t.Signers)
	slices.Sort(t.Aliases)
	for i := range t.Rules {
		t.Rules[i].Approvers = p.resolved(t.Rules[i].Approvers)
	}
	for _, windows := range [][]Freeze{t.Freeze, t.Maintenance} {
		for i := range windows {
			windows[i].BreakGlass = p.resolved(windows[i].BreakGlass)
		}
	}
	return t
}

// Empty reports whether t requires nothing.
func (t Terms) Empty() bool { return same(t, Terms{}) }

func (p Policy) resolved(patterns []string) []string {
	var out []string
	for _, pattern := range patterns {
		if group, ok := strings.CutPrefix(pattern, GroupPrefix); ok {
			out = append(out, p.Groups[group]...)
		} else {
			out = append(out, pattern)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// String returns the line's content, with the fingerprint in place of the key.
func (s Signer) String() string {
	text := strings.Join(s.Principals, ",") + " " + ssh.FingerprintSHA256(s.Key)
	if s.Authority {
		text += " cert-authority"
	}
	if len(s.Namespaces) > 0 {
		text += " namespaces=" + strings.Join(s.Namespaces, ",")
	}
	if !s.After.IsZero() {
		text += " valid-after=" + stamp(s.After)
	}
	if !s.Before.IsZero() {
		text += " valid-before=" + stamp(s.Before)
	}
	return text
}

// Fingerprint returns "sha256:" and the hexadecimal SHA-256 of the canonical JSON of t.
func (t Terms) Fingerprint() (string, error) {
	terms, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("encode the approval policy: %w", err)
	}
	if terms, err = jcs.Transform(terms); err != nil {
		return "", fmt.Errorf("canonical JSON of the approval policy: %w", err)
	}
	sum := sha256.Sum256(append([]byte("remediation.policy.v1\n"), terms...))
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Loosened describes where t requires less than the earlier terms was, one phrase per difference.
func (t Terms) Loosened(was Terms) (out []string) {
	note := func(is bool, format string, args ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	note(max(t.Minimum, 1) < max(was.Minimum, 1), "minimum was %d and is now %d", max(was.Minimum, 1),
		max(t.Minimum, 1))
	note(was.SeparationOfDuties && !t.SeparationOfDuties, "separation_of_duties was removed")
	note(was.SignaturesRequired && !t.SignaturesRequired, "signatures are no longer required")
	note(was.Forge != "" && t.Forge != was.Forge, "approvals were confirmed at the forge %s, and now at %s", was.Forge,
		text.OrNone(t.Forge))
	note(was.MaxAge > 0 && (t.MaxAge == 0 || t.MaxAge > was.MaxAge), "max_age was %s and is now %s", was.MaxAge,
		orUnlimited(t.MaxAge))
	if len(was.Approvers) > 0 && len(t.Approvers) == 0 {
		note(true, "approvers are no longer restricted")
	} else if len(was.Approvers) > 0 {
		note(len(added(was.Approvers, t.Approvers)) > 0, "new approvers: %s",
			strings.Join(added(was.Approvers, t.Approvers), ", "))
	}
	if len(was.Signers) > 0 {
		note(len(added(was.Signers, t.Signers)) > 0, "new in allowed_signers: %s",
			strings.Join(added(was.Signers, t.Signers), "; "))
	}
	note(len(was.Aliases) > 0 && !slices.Equal(was.Aliases, t.Aliases), "aliases changed")
	for _, rule := range was.Rules {
		note(!slices.ContainsFunc(t.Rules, func(r Rule) bool { return same(r, rule) }),
			"the rule %q changed or was removed", rule.Name)
	}
	note(was.SeparationOfDuties && t.SeparationOfDuties && t.Requester != was.Requester,
		"requester was %s and is now %s", orEnvironment(was.Requester), orEnvironment(t.Requester))
	if len(was.RunnerApprovers) > 0 {
		note(len(t.RunnerApprovers) == 0, "the runner's policy no longer restricts approvers")
		note(len(added(was.RunnerApprovers, t.RunnerApprovers)) > 0, "new approvers in the runner's policy: %s",
			strings.Join(added(was.RunnerApprovers, t.RunnerApprovers), ", "))
	}
	for _, window := range was.Maintenance {
		note(!slices.ContainsFunc(t.Maintenance, func(f Freeze) bool { return same(f, window) }),
			"the maintenance window %q changed or was removed", window.Name)
	}
	for _, freeze := range was.Freeze {
		note(!slices.ContainsFunc(t.Freeze, func(f Freeze) bool { return same(f, freeze) }),
			"the freeze %q changed or was removed", freeze.Name)
	}
	return out
}

// same reports whether two values have the same JSON.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func added(was, now []string) (out []string) {
	for _, s := range now {
		if !slices.Contains(was, s) {
			out = append(out, s)
		}
	}
	return out
}

func orEnvironment(requester string) string {
	if requester == "" {
		return "what the environment says"
	}
	return strconv.Quote(requester)
}

func orUnlimited(d time.Duration) string {
	if d == 0 {
		return "unlimited"
	}
	return d.String()
}
