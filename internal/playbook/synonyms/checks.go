package synonyms

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

const (
	// spare is how much disk space a copy may need, as a multiple of its source: for merges, and for documents that are
	// written meanwhile.
	spare = 1.2
	// scarce is how many copies must fit on the disks. With less space, the plan has a note.
	scarce = 5
	// longestName leaves room for the number of an execution, and for the suffix of a kept index.
	longestName = 255 - 20
)

// unseen adds a note about a check that needs a privilege which these credentials lack: plan may run with a weaker key
// than apply. Any other error stops the preview, because another read may see a reason to refuse.
func (c *choice) unseen(what string, err error) error {
	if !errors.Is(err, elastic.ErrForbidden) {
		return err
	}
	c.notes = append(c.notes, what+": "+problem.Of(err, "").Why)
	return nil
}

// checkCluster checks what else can keep a reindex from working: limits of the cluster, privileges, and templates.
func (a action) checkCluster(ctx context.Context, c *choice, index elastic.Index) error {
	for _, check := range []func(context.Context, *choice, elastic.Index) error{
		a.checkName, a.checkDisk, a.checkShards, a.listKeptCopies, a.checkPrivileges, a.checkTemplates,
	} {
		if err := check(ctx, c, index); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses an index whose copy would have too long a name.
func (a action) checkName(_ context.Context, _ *choice, index elastic.Index) error {
	made := reindex.NewName(index.Name, 0)
	if len(made) > longestName {
		return &problem.Problem{
			What: fmt.Sprintf("The name of the new index would be too long (%d bytes)", len(made)+len(execution)),
			Why:  fmt.Sprintf("Names of indices have at most 255 bytes. It is made from %s.", index.Name),
			Next: "Reindex once manually, into an index with a shorter " +
				"name.", Path: []string{"index_name"}, Err: ErrNoWay,
		}
	}
	return nil
}

// measure adds the size of the index to the figures, and how long the copy takes at the rate at which the index was
// written so far.
func (a action) measure(ctx context.Context, c *choice, index elastic.Index) (elastic.Size, error) {
	size, err := a.elastic.Size(ctx, index.Name)
	if err != nil {
		return size, err
	}
	documents, err := a.elastic.Count(ctx, index.Name)
	if errors.Is(err, elastic.ErrForbidden) {
		documents, err = size.Documents, nil // includes nested documents
	}
	if err != nil {
		return size, err
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
		c.figures = append(c.figures, fmt.Sprintf("At %.0f documents per second, estimated from past writes to this "+
			"index (parallel parts: %.0f), the copy takes about %s", rate, threads, took))
	}
	return size, nil
}

// checkDisk checks that a copy fits on the disks below the low watermark.
func (a action) checkDisk(ctx context.Context, c *choice, index elastic.Index) error {
	size, err := a.measure(ctx, c, index)
	if err != nil {
		return err
	}
	free, err := a.elastic.FreeBytes(ctx)
	needed := max(1, int64(float64(size.TotalBytes)*spare))
	switch {
	case err != nil:
		return c.unseen("Free disk space can't be read", err)
	case free < needed:
		return &problem.Problem{
			What: "There is not enough disk space for a reindex of " + index.Name, Why: fmt.Sprintf("It needs about "+
				"%s. The data nodes have %s left below the low watermark.", elastic.Bytes(needed), elastic.Bytes(free)),
			Next: "Make room first, or raise cluster.routing.allocation.disk.watermark.low.",
			Path: []string{"reindex"}, Err: ErrNoWay,
		}
	case free/needed < scarce:
		c.notes = append(c.notes, fmt.Sprintf("Disk space is scarce: the copy needs about %s of the %s that are free",
			elastic.Bytes(needed), elastic.Bytes(free)))
	}
	return nil
}

// checkShards checks that the cluster accepts the shards of the new index. During the switch, the index is configured
// with one more replica.
func (a action) checkShards(ctx context.Context, c *choice, index elastic.Index) error {
	primaries, _ := strconv.Atoi(index.Setting("number_of_shards"))
	replicas, _ := strconv.Atoi(index.Setting("number_of_replicas"))
	needed := int64(primaries * (1 + replicas + 1))
	if a.params.IndexName == index.Name && a.params.keepOld() {
		needed += int64(primaries * (1 + replicas)) // the old index is kept as a clone
	}
	free, err := a.elastic.FreeShards(ctx)
	if err != nil {
		return c.unseen("The limit of shards can't be read", err)
	}
	if free >= needed {
		return nil
	}
	return &problem.Problem{
		What: "The cluster has no room for the shards of a copy of " + index.Name,
		Why: fmt.Sprintf("It needs up to %d more shards, and cluster.max_shards_per_node leaves %d.", needed,
			max(0, free)),
		Next: "Remove indices that nobody needs, or raise the limit.", Path: []string{"reindex"}, Err: ErrNoWay,
	}
}

// listKeptCopies lists the indices that earlier reindexes kept.
func (a action) listKeptCopies(ctx context.Context, c *choice, index elastic.Index) error {
	base := reindex.BaseName(index.Name)
	kept, err := a.elastic.IndicesLike(ctx, func(name string) bool {
		return name != index.Name && reindex.BaseName(name) == base
	})
	if err == nil && len(kept) > 0 {
		c.figures = append(c.figures, "Copies of earlier reindexes: "+strings.Join(kept, ", "))
	}
	return err
}

// checkPrivileges notes missing privileges: plan may run with fewer privileges than apply.
func (a action) checkPrivileges(ctx context.Context, c *choice, index elastic.Index) error {
	missing, err := a.elastic.MissingPrivileges(ctx, neededFor(a.request(index.Name, reindex.NewName(index.Name, 0))))
	if err != nil {
		return c.unseen("Privileges can't be read", err)
	}
	if len(missing) > 0 {
		c.notes = append(c.notes, "These credentials lack privileges that apply needs: "+strings.Join(missing, ", "))
	}
	return nil
}

// checkTemplates refuses a reindex if an index template would change the new index.
func (a action) checkTemplates(ctx context.Context, c *choice, index elastic.Index) error {
	made := reindex.NewName(index.Name, 0)
	templates, err := a.elastic.Templates(ctx, made)
	if err != nil {
		return c.unseen("Index templates can't be read, so apply compares the new index before it copies anything", err)
	}
	if templates.DataStream != "" {
		return &problem.Problem{
			What: "An index template prevents the new index from being created",
			Why: fmt.Sprintf("The template %s creates only data streams for names such as %s.", templates.DataStream,
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
