package approval

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Check returns a problem, with the path in the approval block, if nobody could satisfy the policy or if it does not
// mean what it seems to say. known reports whether a playbook with the action type exists.
func (p Policy) Check(known func(actionType string) bool) error {
	for _, check := range []func() error{
		p.checkGroups, p.checkAliases, func() error { return p.checkRules(known) },
		func() error { return p.checkWindows(p.Freeze, "freeze") },
		func() error { return p.checkWindows(p.Maintenance, "maintenance_window") },
		func() error { return p.checkMaintained(known) },
		func() error { return p.checkPatterns(p.Approvers, "approvers") },
		func() error { return p.checkMinimum(p.Minimum, p.Approvers, "minimum") },
		p.checkRequesters,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func wrong(what, why, next string, path ...string) error {
	return &problem.Problem{What: what, Why: why, Next: next, Path: append([]string{"approval"}, path...)}
}

// at extends a path without changing the original.
func at(path []string, more ...string) []string { return append(slices.Clone(path), more...) }

func (p Policy) checkGroups() error {
	for _, name := range slices.Sorted(maps.Keys(p.Groups)) {
		path := []string{"groups", problem.Key(name)}
		if check.Label(name) != "" {
			return wrong("Invalid group name", fmt.Sprintf("%q %s.", name, check.Label(name)),
				"Name the group in one line.", path...)
		}
		if len(p.Groups[name]) == 0 {
			return wrong("A group without members", fmt.Sprintf("Nobody is in %q.", name),
				"Name its members, or leave the group out.", path...)
		}
		for i, m := range p.Groups[name] {
			if strings.HasPrefix(m, GroupPrefix) {
				return wrong("Invalid approver pattern", fmt.Sprintf("Group %q names another group, %q.", name, m),
					"List its members.", at(path, strconv.Itoa(i))...)
			}
		}
		if err := p.checkPatterns(p.Groups[name], path...); err != nil {
			return err
		}
	}
	return nil
}

// checkPatterns checks a list of approvers.
func (p Policy) checkPatterns(patterns []string, path ...string) error {
	for i, pattern := range patterns {
		if group, ok := strings.CutPrefix(pattern, GroupPrefix); ok && len(p.Groups[group]) == 0 {
			return wrong("Invalid approver pattern", fmt.Sprintf("There is no group %q.", group),
				"Name it in groups, with its members.", at(path, strconv.Itoa(i))...)
		}
		if err := CheckPattern(pattern); err != nil {
			return wrong("Invalid approver pattern", err.Error()+".", "Write patterns such as *@example.com.",
				at(path, strconv.Itoa(i))...)
		}
	}
	return nil
}

// checkAliases requires names that can be compared, each belonging to one person.
func (p Policy) checkAliases() error {
	taken := map[string]string{}
	for _, person := range slices.Sorted(maps.Keys(p.Aliases)) {
		path := []string{"aliases", problem.Key(person)}
		for i, name := range append([]string{person}, p.Aliases[person]...) {
			if i > 0 {
				path = []string{"aliases", problem.Key(person), strconv.Itoa(i - 1)}
			}
			one, err := Canonical(name)
			if err != nil {
				return wrong("Invalid name in aliases", err.Error()+".", "Write mail addresses and logins.", path...)
			}
			if other, ok := taken[one]; ok && other != person {
				return wrong("Two people share a name", fmt.Sprintf("%q is a name of %s and of %s.", name, other,
					person), "List each person once, with all their other names.", path...)
			}
			taken[one] = person
		}
	}
	return nil
}

func (p Policy) checkRules(known func(string) bool) error {
	names := map[string]bool{}
	for i, r := range p.Rules {
		path := []string{"rule", strconv.Itoa(i)}
		if names[r.Name] {
			return wrong("Duplicate rule name",
				fmt.Sprintf("Two rules are named %q, so messages could refer to either.",
					r.Name), "Give each rule its own name.", at(path, "name")...)
		}
		names[r.Name] = true
		for j, playbook := range r.Playbooks {
			if !known(playbook) {
				return unknownPlaybook(fmt.Sprintf("Rule %q", r.Name), playbook, at(path, "playbooks", strconv.Itoa(j)))
			}
		}
		if err := p.checkPatterns(r.Approvers, at(path, "approvers")...); err != nil {
			return err
		}
		approvers := r.Approvers
		if len(approvers) == 0 {
			approvers = p.Approvers
		}
		if err := p.checkMinimum(r.Minimum, approvers, at(path, "minimum")...); err != nil {
			return err
		}
	}
	return nil
}

func (p Policy) checkWindows(windows []Freeze, attribute string) error {
	names := map[string]bool{}
	for i, f := range windows {
		path := []string{attribute, strconv.Itoa(i)}
		if names[f.Name] {
			return wrong("Duplicate window name",
				fmt.Sprintf("%q appears twice, which would make messages ambiguous.", f.Name), "Use different names.",
				at(path, "name")...)
		}
		names[f.Name] = true
		if err := p.checkPatterns(f.BreakGlass, at(path, "break_glass")...); err != nil {
			return err
		}
	}
	return nil
}

// checkMaintained refuses maintenance windows that name no playbook or an unknown one.
func (p Policy) checkMaintained(known func(string) bool) error {
	for i, f := range p.Maintenance {
		path := []string{"maintenance_window", strconv.Itoa(i), "playbooks"}
		if len(f.Playbooks) == 0 {
			return wrong("A maintenance window without playbooks", fmt.Sprintf("%q names none, so it restricts "+
				"nothing.", f.Name), "List the action types that may run only within the window.", path...)
		}
		for j, playbook := range f.Playbooks {
			if !known(playbook) {
				return unknownPlaybook(fmt.Sprintf("Maintenance window %q", f.Name), playbook, at(path,
					strconv.Itoa(j)))
			}
		}
	}
	return nil
}

func unknownPlaybook(of, playbook string, path []string) error {
	return wrong("Unknown playbook", fmt.Sprintf("%s names %q, which is not an action type, so it would never "+
		"apply.", of, playbook), "The data source remediation_playbooks lists those that exist.", path...)
}

// checkMinimum refuses a minimum that exceeds the number of approvers.
func (p Policy) checkMinimum(minimum int, approvers []string, path ...string) error {
	if len(approvers) == 0 {
		approvers = p.RunnerApprovers
	}
	if named, bounded := p.named(approvers); bounded && named < minimum {
		return wrong("Nobody could approve anything",
			fmt.Sprintf("%d different people must approve, and the approvers are %d.", minimum, named),
			"Ask for fewer, or name more approvers. Names of one person in aliases count once.", path...)
	}
	return nil
}

// named counts the people that the patterns name and the runner's policy accepts. bounded is false if a pattern matches
// any number of people.
func (p Policy) named(patterns []string) (count int, bounded bool) {
	const wildcards = `*?[\`
	people := map[string]bool{}
	if len(patterns) == 0 {
		return 0, false
	}
	for _, pattern := range patterns {
		members := []string{pattern}
		if group, ok := strings.CutPrefix(pattern, GroupPrefix); ok {
			members = p.Groups[group]
		}
		for _, m := range members {
			name, err := p.person(m)
			if strings.ContainsAny(m, wildcards) || err != nil {
				return 0, false
			}
			if p.matchAny(p.RunnerApprovers, m) {
				people[name] = true
			}
		}
	}
	return len(people), true
}

// checkRequesters refuses a requester that can't be compared with approvers, if separation of duties needs that.
func (p Policy) checkRequesters() error {
	for _, name := range p.Requesters {
		if _, err := Canonical(name); err != nil && p.SeparationOfDuties {
			return wrong("The requester can't be compared", err.Error()+".", "Write a mail address or a login.",
				"requester")
		}
	}
	return nil
}
