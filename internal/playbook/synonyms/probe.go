package synonyms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// ErrStale means that after a refresh an analyzer still uses synonyms other than the stored ones.
var ErrStale = errors.New("the synonyms were not loaded")

// probes analyzes the probe texts with the synonyms that are loaded now and with those that will be. It adds a note to
// the preview if there is no text, or if none would change.
func (a action) probes(ctx context.Context, c choice, p *playbook.Preview) ([]Probe, error) {
	index, s := c.first()
	probes, changes := []Probe{}, false
	for _, text := range a.params.ProbeTexts {
		for _, an := range s.Analyzers {
			tokens, err := a.elastic.Tokens(ctx, index.Name, an.Name, text)
			if err != nil {
				return nil, err
			}
			now := probe(text, an.Name, tokens)
			if an.Wrapped {
				changes = true // not visible before
				probes = append(probes, now)
				continue
			}
			if tokens, err = a.elastic.FreshTokens(ctx, index,
				elastic.Probe{Analyzer: an.Name, Filter: s.Filter, Text: text}); err != nil {
				return nil, err
			}
			now.Expected = probe(text, an.Name, tokens).Tokens
			changes = changes || difference(now.Tokens, now.Expected) != ""
			probes = append(probes, now)
		}
	}
	switch {
	case len(a.params.ProbeTexts) == 0:
		p.Warnings = append(p.Warnings, "Without probe_texts the plan can't show what changes")
	case !changes:
		p.Figures = append(p.Figures, "No probe text will be tokenized differently: as far as they show, the "+
			"synonyms are loaded already")
	}
	return probes, nil
}

// describe says how a text is tokenized now and afterwards.
func (p Probe) describe() string {
	now := fmt.Sprintf("%s tokenizes %q as: %s", p.Analyzer, p.Text, strings.Join(p.Tokens, " "))
	d := difference(p.Tokens, p.Expected)
	switch {
	case p.Expected == nil:
		return now + "; afterwards: not known until then, because another filter contains this one"
	case d == "":
		return now + "; the same afterwards"
	}
	return fmt.Sprintf("%s; afterwards: %s (%s)", now, strings.Join(p.Expected, " "), d)
}

func probe(text, analyzer string, tokens []elastic.Token) Probe {
	p := Probe{Text: text, Analyzer: analyzer, Tokens: []string{}, FromSynonyms: []string{}}
	for _, t := range tokens {
		p.Tokens = append(p.Tokens, t.Text)
		if t.FromSynonyms() {
			p.FromSynonyms = append(p.FromSynonyms, t.Text)
		}
	}
	return p
}

// difference lists the tokens gained and lost; empty if there are none.
func difference(before, after []string) string {
	var parts []string
	if gained := without(after, before); len(gained) > 0 {
		parts = append(parts, "gained "+strings.Join(gained, " "))
	}
	if lost := without(before, after); len(lost) > 0 {
		parts = append(parts, "lost "+strings.Join(lost, " "))
	}
	return strings.Join(parts, ", ")
}

// without returns the elements of a list that another one lacks. An element counts as often as it occurs.
func without(of, taken []string) []string {
	left := map[string]int{}
	for _, s := range taken {
		left[s]++
	}
	var out []string
	for _, s := range of {
		if left[s]--; left[s] < 0 {
			out = append(out, s)
		}
	}
	return out
}

// compare analyzes the probe texts again, on the index that clients use now, and adds the tokens that each gained and
// lost to the report. Tokens that differ from what the plan announced are a failure.
func (a action) compare(ctx context.Context, index string, before []Probe, out *playbook.Report) error {
	var unexpected []string
	had, have, changed := 0, 0, false
	for i, was := range before {
		tokens, err := a.elastic.Tokens(ctx, index, was.Analyzer, was.Text)
		if err != nil {
			return err
		}
		now := probe(was.Text, was.Analyzer, tokens)
		d := difference(was.Tokens, now.Tokens)
		if changed = changed || d != ""; d == "" {
			d = "as before"
		}
		out.Details[fmt.Sprintf("probe_%d", i+1)] = fmt.Sprintf("%q (%s): %s", was.Text, was.Analyzer, d)
		if was.Expected == nil {
			had, have = had+len(was.FromSynonyms), have+len(now.FromSynonyms)
		} else if d := difference(was.Expected, now.Tokens); d != "" {
			unexpected = append(unexpected, fmt.Sprintf("%q (%s) %s", was.Text, was.Analyzer, d))
		}
	}
	switch {
	case len(unexpected) > 0:
		out.Details["changed"] = "not as planned"
		return &problem.Problem{
			What: "The synonyms are not as planned",
			Why:  "Compared with the tokens in the plan: " + strings.Join(unexpected, "; ") + ".",
			Next: "The file or set changed after the plan, or differs between nodes. Plan and apply again.",
			Err:  ErrStale,
		}
	case had > 0 && have == 0:
		out.Details["changed"] = "emptied"
		return &problem.Problem{
			What: "The synonyms are empty now", Why: "Some probe texts had synonyms before, and none has any now.",
			Next: "Check the set or the file: a lenient filter drops rules that it can't parse. Correct it and apply " +
				"again.",
		}
	case len(before) == 0:
		out.Details["changed"] = "not known: there are no probe_texts"
	case !changed:
		out.Details["changed"] = "false"
		out.Message += ", but no probe text is analyzed differently"
	default:
		out.Details["changed"] = "true"
	}
	return nil
}

// mostRules is how many rules of a set are tested.
const mostRules = 3

// loaded checks that the loaded synonyms are the stored ones, as far as that is visible.
func (a action) loaded(ctx context.Context, index elastic.Index) error {
	_, err := a.seenLoaded(ctx, index)
	return err
}

// seenLoaded compares the loaded synonyms with the stored ones, using the probe texts and the first rules of a set.
// seen reports whether there was anything to compare.
func (a action) seenLoaded(ctx context.Context, index elastic.Index) (seen bool, err error) {
	s, err := index.Synonyms(a.params.SynonymFilter)
	if err != nil {
		return false, err
	}
	texts := slices.Clone(a.params.ProbeTexts)
	if s.Set != "" {
		rules, err := a.elastic.SynonymsSet(ctx, s.Set)
		if err != nil {
			return false, err
		}
		for _, rule := range rules[:min(len(rules), mostRules)] {
			left, _, _ := strings.Cut(rule, "=>")
			term, _, _ := strings.Cut(left, ",")
			texts = append(texts, strings.TrimSpace(term))
		}
	}
	for _, text := range texts {
		for _, an := range s.Analyzers {
			if an.Wrapped {
				continue
			}
			now, err := a.elastic.Tokens(ctx, index.Name, an.Name, text)
			if err != nil {
				return seen, err
			}
			fresh, err := a.elastic.FreshTokens(ctx, index, elastic.Probe{Analyzer: an.Name, Filter: s.Filter,
				Text: text})
			if err != nil {
				return seen, err
			}
			seen = true
			if d := difference(probe("", "", now).Tokens, probe("", "", fresh).Tokens); d != "" {
				return true, &problem.Problem{
					What: "The synonyms were not loaded", Why: fmt.Sprintf("The analyzer %s of %s tokenizes %q "+
						"with rules other than those of the %s; with those, the tokens would differ: %s.", an.Name,
						index.Name, text,
						s.Source(), d),
					Next: "A file has to be the same on every data node. Apply again.", Err: ErrStale,
				}
			}
		}
	}
	return seen, nil
}
