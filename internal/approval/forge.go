package approval

import (
	"fmt"
	"slices"
	"strings"
)

// Confirmed is the forge's answer about the change whose review counts.
type Confirmed struct {
	// By are the logins of those who approved the current version, without logins in Authors.
	By []string
	// Authors are the logins and mail addresses of those who opened the change or wrote one of its commits.
	Authors []string
	// Change identifies the change by its repository, pull request, and commit.
	Change string
	// Problem is why the forge can't be read, or empty. If it is set, nobody is confirmed.
	Problem string
}

// NeedsForge reports whether the decision can depend on the forge: the case needs an approval, or a given approval
// could count for a maintenance window or break a freeze.
func (p Policy) NeedsForge(c Case, given Given) bool {
	if p.Forge == "" {
		return false
	}
	demands, _ := p.demands(c)
	return len(demands) > 0 || len(p.Maintenance) > 0 && len(given.All()) > 0 ||
		(len(p.Freeze) > 0 && slices.ContainsFunc(given.Approvals, func(a Approval) bool { return a.BreakGlass }))
}

// confirm sets why the forge does not confirm the approval. The reason goes into timed, because a plan is made before
// the review and applied after it.
func (p Policy) confirm(forge *Confirmed, v *vote) {
	if p.Forge == "" || v.timed != "" {
		return
	}
	switch {
	case forge == nil:
		v.timed = "the forge was not asked whether they approved the change there"
		return
	case forge.Problem != "":
		v.timed = "the forge could not confirm it: " + forge.Problem
		return
	}
	if _, err := p.person(v.By); err != nil {
		v.timed = err.Error()
		return
	}
	for _, author := range forge.Authors {
		if p.samePerson(author, v.By) || p.proved().samePerson(author, v.By) {
			v.timed = fmt.Sprintf("they are an author of %s (%q)", forge.Change, author)
			return
		}
	}
	for _, login := range forge.By {
		if p.proved().samePerson(login, v.By) {
			v.Confirmed = forge.Change
			return
		}
	}
	v.timed = fmt.Sprintf("they have not approved %s (those who have: %s)", forge.Change, orNobody(forge.By))
}

// samePerson reports whether two names belong to one person.
func (p Policy) samePerson(a, b string) bool {
	first, err := p.person(a)
	second, other := p.person(b)
	return err == nil && other == nil && first == second
}

func orNobody(who []string) string {
	if len(who) == 0 {
		return "nobody"
	}
	return strings.Join(who, ", ")
}

// forgeAdvice describes what to do at the forge.
func (p Policy) forgeAdvice(forge *Confirmed) string {
	if p.Forge == "" {
		return ""
	}
	change := "the pull request"
	if forge != nil && forge.Change != "" {
		change = forge.Change
	}
	return fmt.Sprintf(" Each of them must also approve %s at the forge, and must not have written any of it. Map "+
		"logins that differ from approved_by in aliases.", change)
}
