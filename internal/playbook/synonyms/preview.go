package synonyms

import (
	"context"
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Preview implements playbook.Logic.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	c, err := a.choose(ctx)
	if err != nil {
		return playbook.Preview{Locks: elastic.Targets(a.elastic.Name(), c.found.Closed...)}, Facts{}, err
	}
	_, s := c.first()
	facts := Facts{Way: c.way, WayReason: c.reason, Indices: c.found.Indices, Source: s.Source(),
		Analyzers: []Analyzers{}, Probes: []Probe{}}
	for i, index := range c.indices {
		facts.Analyzers = append(facts.Analyzers, Analyzers{Index: index.Name, Names: c.synonyms[i].Names()})
	}
	p := playbook.Preview{
		Duration: estimate, Risk: playbook.RiskLow, Undo: undoing, Affected: append([]string{"elasticsearch"},
			c.found.Indices...), Warnings: c.notes,
	}
	p.Figures = c.figures
	if facts.Probes, err = a.probes(ctx, c, &p); err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	switch c.way {
	case WayReload:
		a.describeReload(&p, c)
	case WayCloseOpen:
		a.describeCloseOpen(&p, c)
	default:
		a.describeReindex(&p, c)
	}
	if c.way != WayReindex {
		p.NotDone = append(p.NotDone, c.keepTokens)
	}
	p.Changes = append([]string{p.Summary, "Chosen because " + c.reason + c.analyzed}, p.Changes...)
	for _, an := range facts.Analyzers {
		p.Changes = append(p.Changes, fmt.Sprintf("Analyzers of %s with this filter: %s", an.Index,
			strings.Join(an.Names, ", ")))
	}
	p.Changes = append(p.Changes, fmt.Sprintf("New queries use the synonyms that the %s holds when it is loaded",
		s.Source()))
	for _, probe := range facts.Probes {
		p.Changes = append(p.Changes, probe.describe())
	}
	if p.Identity, err = a.identity(ctx, c.indices); err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	p.Content = content(c)
	compareRules(ctx, &p, facts.Source)
	p.Locks = elastic.Targets(a.elastic.Name(), facts.Indices...)
	return p, facts, nil
}

// keepTokens says what a refresh without a reindex leaves unchanged.
func (a action) keepTokens(ctx context.Context, c *choice) error {
	index, s := c.first()
	fields := s.AtIndexTime()
	if len(fields) == 0 {
		c.keepTokens = "Existing documents stay as they are: they were not analyzed with the filter"
		return nil
	}
	var documents int64
	for _, name := range c.found.Indices {
		n, err := a.elastic.Count(ctx, name)
		if err != nil {
			return err
		}
		documents += n
	}
	c.keepTokens = fmt.Sprintf("%s of %s keep their old tokens, since the fields %s were analyzed with the filter "+
		"when they were indexed. A search misses them where it depends on a new synonym, until a reindex "+
		"(reindex = true)",
		text.Count(documents, "document"), elastic.Names(c.found.Indices), strings.Join(fields, ", "))
	if len(c.found.Indices) == 1 {
		c.keepTokens = strings.Replace(c.keepTokens, elastic.Names(c.found.Indices), index.Name, 1)
	}
	return nil
}

func (a action) describeReload(p *playbook.Preview, c choice) {
	_, s := c.first()
	p.Summary = fmt.Sprintf("Will reload the search analyzers of %s with the filter %s", elastic.Names(c.found.Indices),
		a.params.SynonymFilter)
	p.Commands = []string{elastic.ReloadCommand(c.found.Indices, s.Set)}
	p.RiskReason = "the index stays open"
	p.Changes = []string{"No downtime: the index stays open"}
	if c.serverless {
		p.NotDone = append(p.NotDone, "The request cache is not cleared: serverless Elasticsearch has no API for it, "+
			"so searches may return cached answers for a while")
		return
	}
	p.Commands = append(p.Commands, requestCache.Command(c.found.Indices))
	p.Changes = append(p.Changes, "Cached answers of these indices are dropped")
}

func (a action) describeCloseOpen(p *playbook.Preview, c choice) {
	p.Summary = fmt.Sprintf("Will close and open %s to load the filter %s", elastic.Names(c.found.Indices),
		a.params.SynonymFilter)
	for _, i := range c.found.Indices {
		p.Commands = append(p.Commands, "POST /"+i+"/_close", "POST /"+i+"/_open")
	}
	p.Risk, p.RiskReason = playbook.RiskMedium, "searches and writes fail while an index is closed"
	p.Changes = []string{
		"Downtime: each index is closed for 1-2 s. Searches and writes fail during that time",
		"The index is opened again in any case, also after a failure or a crash",
	}
}

func (a action) describeReindex(p *playbook.Preview, c choice) {
	index, _ := c.first()
	old := index.Name
	made := madeName(old)
	p.Summary = fmt.Sprintf("Will reindex %s into a new index and point %s to it", old, a.params.IndexName)
	request := a.request(old, made)
	p.Commands = []string{fmt.Sprintf("PUT /%s (settings and mappings of %s)", made, old),
		request.Copy(index).Command()}
	p.Duration, p.CostUSD, p.Risk = reindexEstimate, reindexCost, playbook.RiskHigh
	p.EstimateOrigin, p.RiskReason = c.estimateOrigin, "every document is copied, and clients change to a new index"
	p.ApprovalReasons = []string{fmt.Sprintf("reindex copies every document of %s", old)}
	if len(a.params.ProbeTexts) == 0 && c.rules == nil {
		p.ApprovalReasons = append(p.ApprovalReasons, "without probe_texts, the digest doesn't cover the rules of "+
			"the file")
	}
	p.RollbackAvailable = a.params.keepOld()
	p.Affected = append(p.Affected, made)
	p.Changes = []string{"Existing documents are reindexed with the new synonyms", "Searches continue all the time"}
	aliases := strings.Join(index.AliasNames(), ", ")
	if a.params.IndexName == old {
		command := fmt.Sprintf("POST /_aliases (in one call: remove the index %s, make %s an alias of %s", old, old,
			made)
		if aliases != "" {
			command += ", move " + aliases
		}
		p.Commands = append(p.Commands, command+")")
		p.Changes = append(p.Changes, "Writes are refused (403) for about a second before the switch, and have to be "+
			"tried again; none is lost", old+" is an alias afterwards")
	} else {
		p.Commands = append(p.Commands, fmt.Sprintf("POST /_aliases (in one call: move %s from %s to %s)", aliases, old,
			made))
		p.Changes = append(p.Changes, "Writes continue, and wait for about two seconds at the switch; none is lost")
	}
	if policy := index.Setting("lifecycle.name"); policy != "" {
		p.Changes = append(p.Changes, lifecycle(policy, index))
	}
	p.NotDone = append(p.NotDone, "_update_by_query and _delete_by_query that run across the switch are not waited "+
		"for: they end with 403")
	if kept := request.Kept(); kept == "" {
		p.Commands = append(p.Commands, "DELETE /"+old)
		p.Changes = append(p.Changes, "The old index is removed at the end and can't be restored")
		p.Undo = "none, since the old index is not kept"
	} else {
		p.Changes = append(p.Changes, fmt.Sprintf("The old index is kept as %s, with its writes blocked", kept))
		p.Undo = fmt.Sprintf("point %s back to %s while that exists; documents written since are in the new index only",
			a.params.IndexName, kept)
	}
}

// lifecycle says what a lifecycle policy does with the new index.
func lifecycle(policy string, index elastic.Index) string {
	text := fmt.Sprintf("The lifecycle policy %s applies to the new index once it is complete", policy)
	if index.Setting("lifecycle.origination_date") != "" {
		return text + ", with the origination date of the old one"
	}
	return text + ". Its age counts from the reindex, so later phases begin later"
}

// execution is the placeholder for the number of an execution that has not begun.
const execution = "<execution>"

// madeName is the name of the new index, as far as it is known before the execution has a number.
func madeName(old string) string {
	return strings.TrimSuffix(reindex.NewName(old, 0), "0") + execution
}

func (a action) request(old, made string) reindex.Request {
	return reindex.Request{
		Name: a.params.IndexName, Old: old, New: made, KeepOld: a.params.keepOld(), Slices: a.params.Slices,
		PerSecond: a.params.RequestsPerSecond,
	}
}
