package synonyms

import (
	"context"
	"errors"
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
	p.Changes = append([]string{p.Summary, "Chosen because " + c.reason}, p.Changes...)
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
	p.Commands = []string{elastic.ReloadCommand(c.found.Indices, s.Set), requestCache.Command(c.found.Indices)}
	p.RiskReason = "the index stays open"
	p.Changes = []string{"No downtime: the index stays open", "Cached answers of these indices are dropped"}
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
	copied := elastic.CopyRequest{From: old, To: made, Slices: request.Slices, PerSecond: request.PerSecond}
	p.Commands = []string{fmt.Sprintf("PUT /%s (settings and mappings of %s)", made, old), copied.Command()}
	p.Duration, p.CostUSD, p.Risk = reindexEstimate, reindexCost, playbook.RiskHigh
	p.EstimateOrigin, p.RiskReason = c.estimateOrigin, "every document is copied, and clients change to a new index"
	p.ApprovalReasons = []string{fmt.Sprintf("reindex copies every document of %s", old)}
	if len(a.params.ProbeTexts) == 0 && c.rules == nil {
		p.ApprovalReasons = append(p.ApprovalReasons, "without probe_texts nothing binds the rules of the file")
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

// spare is how much more disk space a copy may need than its source: for merges, and for documents that are written
// meanwhile.
const spare = 1.2

// scarce is how many copies must fit on the disks for the plan not to mention them.
const scarce = 5

// roomFor checks that a copy fits on the disks, and that no index template would change the new index.
func (a action) roomFor(ctx context.Context, c *choice, index elastic.Index) error {
	size, err := a.elastic.Size(ctx, index.Name)
	if err != nil {
		return err
	}
	documents, err := a.elastic.Count(ctx, index.Name)
	if errors.Is(err, elastic.ErrForbidden) {
		documents, err = size.Documents, nil // includes nested documents
	}
	if err != nil {
		return err
	}
	c.figures = append(c.figures, fmt.Sprintf("%s holds %s in %s on disk", index.Name,
		text.Count(documents, "document"), elastic.Bytes(size.TotalBytes)))
	c.estimateOrigin = "default"
	if size.PerSecond > 0 {
		threads := float64(max(1, a.params.Slices))
		rate := size.PerSecond * threads
		if limit := a.params.RequestsPerSecond; limit > 0 {
			rate = min(rate, limit)
		}
		took := time.Duration(float64(size.Documents) / rate * float64(time.Second)).Round(time.Second)
		c.figures = append(c.figures, fmt.Sprintf("At %.0f documents per second, the rate at which this index was "+
			"written so far with %.0f at a time, the copy takes about %s", rate, threads, took))
	}
	free, err := a.elastic.FreeBytes(ctx)
	needed := max(1, int64(float64(size.TotalBytes)*spare))
	switch {
	case err != nil:
		c.notes = append(c.notes, "Free disk space can't be read: "+problem.Of(err, "").Why)
	case free < needed:
		return &problem.Problem{
			What: "There is not enough disk for a reindex of " + index.Name, Why: fmt.Sprintf("It needs about %s. The "+
				"data nodes have %s left below their high watermark.", elastic.Bytes(needed), elastic.Bytes(free)),
			Next: "Make room first.", Path: []string{"reindex"}, Err: ErrNoWay,
		}
	case free/needed < scarce:
		c.notes = append(c.notes, fmt.Sprintf("Disk space is scarce: the copy needs about %s of the %s that are free",
			elastic.Bytes(needed), elastic.Bytes(free)))
	}
	if err := a.keptCopies(ctx, c, index); err != nil {
		return err
	}
	return a.rights(ctx, c, index)
}

// keptCopies lists the indices that earlier reindexes kept.
func (a action) keptCopies(ctx context.Context, c *choice, index elastic.Index) error {
	base := reindex.BaseName(index.Name)
	kept, err := a.elastic.IndicesLike(ctx, func(name string) bool {
		return name != index.Name && reindex.BaseName(name) == base
	})
	if err == nil && len(kept) > 0 {
		c.figures = append(c.figures, "Copies of earlier reindexes: "+strings.Join(kept, ", "))
	}
	return err
}

// rights notes missing privileges: plan may run with fewer privileges than apply.
func (a action) rights(ctx context.Context, c *choice, index elastic.Index) error {
	missing, err := a.elastic.MissingPrivileges(ctx, neededFor(a.request(index.Name, reindex.NewName(index.Name, 0))))
	switch {
	case err != nil:
		c.notes = append(c.notes, "Privileges can't be read: "+problem.Of(err, "").Why)
	case len(missing) > 0:
		c.notes = append(c.notes, "These credentials lack privileges that apply needs: "+strings.Join(missing, ", "))
	}
	return a.templates(ctx, c, index)
}

// templates refuses a reindex if an index template would change the new index.
func (a action) templates(ctx context.Context, c *choice, index elastic.Index) error {
	made := reindex.NewName(index.Name, 0)
	if len(made) > longestName {
		return &problem.Problem{
			What: fmt.Sprintf("The name of the new index would be too long (%d bytes)", len(made)+len(execution)),
			Why:  fmt.Sprintf("Names of indices have at most 255 bytes. It is made from %s.", index.Name),
			Next: "Reindex into a shorter name by hand once.", Path: []string{"index_name"}, Err: ErrNoWay,
		}
	}
	templates, err := a.elastic.Templates(ctx, made)
	if err != nil {
		c.notes = append(c.notes, "Index templates can't be read: "+problem.Of(err, "").Why+" Apply compares the new "+
			"index before it copies anything.")
		return nil //nolint:nilerr // plan may run with a weaker key than apply
	}
	if templates.DataStream != "" {
		return &problem.Problem{
			What: "An index template keeps the new index from being created",
			Why: fmt.Sprintf("The template %s makes only data streams of names such as %s.", templates.DataStream,
				made),
			Next: "Change the index patterns of the template.", Path: []string{"reindex"}, Err: ErrNoWay,
		}
	}
	differs, err := reindex.TemplateDifferences(index, templates)
	if err != nil || len(differs) == 0 {
		return err
	}
	return &problem.Problem{
		What: "An index template would make the new index differ from the old one",
		Why: fmt.Sprintf("Elasticsearch merges %s into every index with a name such as %s: %s.",
			strings.Join(templates.Names, ", "), made, strings.Join(differs, "; ")),
		Next: "Change the template, or give the old index the same definition.",
		Path: []string{"reindex"}, Err: ErrNoWay,
	}
}

// longestName leaves room for the number of an execution, and for the suffix of a kept index.
const longestName = 255 - 20
