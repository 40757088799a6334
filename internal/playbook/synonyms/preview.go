package synonyms

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
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
	if facts.Probes, err = a.today(ctx, c, &p); err != nil {
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
	p.Changes = append([]string{p.Summary, "Chosen because " + c.reason}, p.Changes...)
	for _, an := range facts.Analyzers {
		p.Changes = append(p.Changes, fmt.Sprintf("Analyzers of %s that take up the synonyms: %s", an.Index,
			strings.Join(an.Names, ", ")))
	}
	p.Changes = append(p.Changes, fmt.Sprintf("New queries use the synonyms that the %s holds when it is loaded",
		s.Source()))
	for _, probe := range facts.Probes {
		p.Changes = append(p.Changes, fmt.Sprintf("Today %s takes %q apart as: %s", probe.Analyzer, probe.Text,
			strings.Join(probe.Tokens, " ")))
	}
	p.Locks = elastic.Targets(a.elastic.Name(), facts.Indices...)
	return p, facts, nil
}

func (a action) describeReload(p *playbook.Preview, c choice) {
	_, s := c.first()
	p.Summary = fmt.Sprintf("Will reload the search analyzers of %s with the filter %s", elastic.Names(c.found.Indices),
		a.params.SynonymFilter)
	p.Commands = []string{elastic.ReloadCommand(c.found.Indices, s.Set), requestCache.Command(c.found.Indices)}
	p.Changes = []string{"No downtime: the index stays open",
		"Existing documents stay as they are: they were not analyzed with the " +
			"filter", "Cached answers of these indices are dropped"}
}

func (a action) describeCloseOpen(p *playbook.Preview, c choice) {
	p.Summary = fmt.Sprintf("Will close and open %s to load the filter %s", elastic.Names(c.found.Indices),
		a.params.SynonymFilter)
	for _, i := range c.found.Indices {
		p.Commands = append(p.Commands, "POST /"+i+"/_close", "POST /"+i+"/_open")
	}
	p.Risk = playbook.RiskMedium
	p.Changes = []string{
		"Downtime: each index is closed for 1-2 s, in which searches and writes of " +
			"it fail", "It is opened again on every way out, also after a failure or a crash",
		"Existing documents stay as they are: they were not analyzed with the filter",
	}
}

func (a action) describeReindex(p *playbook.Preview, c choice) {
	old := c.found.Indices[0]
	made := madeName(old)
	p.Summary = fmt.Sprintf("Will reindex %s into a new index and lead %s there", old, a.params.IndexName)
	request := a.request(old, made)
	copied := elastic.CopyRequest{From: old, To: made, Slices: request.Slices, PerSecond: request.PerSecond}
	p.Commands = []string{fmt.Sprintf("PUT /%s (settings and mappings of %s)", made, old), copied.Command()}
	p.Duration, p.CostUSD, p.Risk = reindexEstimate, reindexCost, playbook.RiskHigh
	p.ApprovalReasons = []string{fmt.Sprintf("reindex copies every document of %s", old)}
	p.RollbackAvailable = a.params.keepOld()
	p.Affected = append(p.Affected, made)
	p.Changes = []string{"Existing documents are reindexed with the new synonyms", "Searches go on all the time"}
	if a.params.IndexName == old {
		p.Commands = append(p.Commands,
			fmt.Sprintf("POST /_aliases (in one call: remove the index %s, make %s an alias of %s)", old, old, made))
		p.Changes = append(p.Changes,
			"Writes go on but for about a second before the switch, in which they are refused (403) and have to be "+
				"tried again; none is lost",
			old+" is an alias afterwards")
	} else {
		p.Commands = append(p.Commands, fmt.Sprintf("POST /_aliases (in one call: every alias of %s moves to %s)", old,
			made))
		p.Changes = append(p.Changes, "Writes go on; for about a second at the switch they wait; none is lost")
	}
	if kept := request.Kept(); kept == "" {
		p.Commands = append(p.Commands, "DELETE /"+old)
		p.Changes = append(p.Changes, "The old index is removed at the end: there is no way back")
		p.Undo = "none, since the old index is not kept"
	} else {
		p.Changes = append(p.Changes, fmt.Sprintf("The old index is kept as %s, with its writes blocked", kept))
		p.Undo = fmt.Sprintf("point %s back at %s while that stands; what was written since is in the new index only",
			a.params.IndexName, kept)
	}
}

// execution stands in a preview for the number of an execution that has not begun.
const execution = "<execution>"

// madeName is the name of the new index as far as it is known before the execution has a number.
func madeName(old string) string {
	return strings.TrimSuffix(reindex.NewName(old, 0), "0") + execution
}

func (a action) request(old, made string) reindex.Request {
	return reindex.Request{
		Name: a.params.IndexName, Old: old, New: made, KeepOld: a.params.keepOld(), Slices: a.params.Slices,
		PerSecond: a.params.RequestsPerSecond,
	}
}

// spare is how much more disk a copy may take than the index that it is made from: merges, and documents written
// meanwhile.
const spare = 1.2

// roomFor checks that a copy has room on the disks, and that no template would lead clients to it too early.
func (a action) roomFor(ctx context.Context, c *choice, index elastic.Index) error {
	size, err := a.elastic.Size(ctx, index.Name)
	if err != nil {
		return err
	}
	c.notes = append(c.notes, fmt.Sprintf("%s holds %s in %s on disk", index.Name,
		text.Count(size.Documents, "document"),
		elastic.Bytes(size.TotalBytes)))
	if size.PerSecond > 0 {
		threads := float64(max(1, a.params.Slices))
		rate := size.PerSecond * threads
		if limit := a.params.RequestsPerSecond; limit > 0 {
			rate = min(rate, limit)
		}
		took := time.Duration(float64(size.Documents) / rate * float64(time.Second)).Round(time.Second)
		c.notes = append(c.notes, fmt.Sprintf("At %.0f documents a second, the rate at which this index was written "+
			"so far with %.0f at a time, the copy takes about %s", rate, threads, took))
	}
	free, err := a.elastic.FreeBytes(ctx)
	needed := int64(float64(size.TotalBytes) * spare)
	switch {
	case err != nil:
		c.notes = append(c.notes, "How much disk is free can't be read: "+problem.Of(err, "").Why)
	case free < needed:
		return &problem.Problem{
			What: "There is not enough disk for a reindex of " + index.Name, Why: fmt.Sprintf("It needs about %s, "+
				"and the data nodes have %s left.", elastic.Bytes(needed), elastic.Bytes(free)),
			Next: "Make room first.", Path: []string{"reindex"}, Err: ErrNoWay,
		}
	default:
		c.notes = append(c.notes, fmt.Sprintf("The copy needs about %s of the %s that are free", elastic.Bytes(needed),
			elastic.Bytes(free)))
	}
	aliases, err := a.elastic.TemplateAliases(ctx, reindex.NewName(index.Name, 0))
	switch {
	case err != nil:
		c.notes = append(c.notes, "Whether an index template gives aliases to the new index can't be "+
			"read: "+problem.Of(err, "").Why)
	case len(aliases) > 0:
		return &problem.Problem{
			What: "An index template would give the unfinished index to " +
				"clients", Why: fmt.Sprintf("It adds the alias %s to every new index with such a name.",
				strings.Join(aliases, ", ")),
			Next: "Take the alias out of the template, and give it to the index " +
				"itself.", Path: []string{"reindex"}, Err: ErrNoWay,
		}
	}
	return nil
}
