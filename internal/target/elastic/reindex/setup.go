package reindex

import (
	"context"
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// startTimeout is how long the shards of the new index may take to start.
const startTimeout = 30 * time.Second

// measure chooses how many documents are read at a time.
func (r *Run) measure(ctx context.Context) error {
	old, err := r.cluster.DescribeNow(ctx, r.state.Old)
	if elastic.IsMissing(err) && (r.state.Stage == StageSwitch || r.state.Stage == StageFinish) {
		return nil // it was replaced by an alias, or removed
	}
	if err != nil {
		return err
	}
	r.names, r.page = min(pageNames, old.Window()), min(pageMost, old.Window())
	if r.state.Stage == StageFinish {
		return nil // little is left to read
	}
	size, err := r.cluster.Size(ctx, r.state.Old)
	if elastic.IsMissing(err) && r.state.Stage == StageSwitch {
		return nil
	}
	if err == nil && size.Documents > 0 {
		r.page = int(max(1, min(int64(r.page), pageBytes/max(1, size.Bytes/size.Documents))))
	}
	return err
}

func (r *Run) create(ctx context.Context) error {
	if kept := r.state.Kept(); r.state.concrete() && kept != "" {
		missing, err := r.cluster.IsGone(ctx, kept)
		if err != nil {
			return err
		}
		if !missing {
			return r.failed("The index "+kept+" already exists",
				"The old index is to be kept under that name.", nil)
		}
	}
	if err := r.freeName(ctx); err != nil {
		return err
	}
	old, err := r.cluster.DescribeNow(ctx, r.state.Old)
	if err != nil {
		return err
	}
	create, late, err := definition(old)
	if err != nil {
		return err
	}
	r.state.Late, r.state.Aliases = late, old.AliasNames()
	// The copy reads what a search finds. That must be everything up to the checkpoints, which snapshot ensures.
	if r.last, err = r.snapshot(ctx); err != nil {
		return err
	}
	r.state.Checkpoints = r.last.checkpoints
	if err := r.enter(ctx, StageCreate); err != nil {
		return err
	}
	if err := r.cluster.CreateIndex(ctx, r.state.New, create); err != nil {
		r.notOurs = elasticsearch.FateOf(err) != elasticsearch.Lost || !r.createdByUs(ctx)
		return err
	}
	if err := r.verify(ctx, create); err != nil {
		return err
	}
	if err := r.cluster.WaitForHealth(ctx, r.state.New, "yellow", startTimeout); err != nil {
		return err
	}
	if r.state.Task, err = r.cluster.StartCopy(ctx, r.state.Copy(old)); err != nil {
		r.maybeCopying = elasticsearch.FateOf(err) == elasticsearch.Lost
		return err
	}
	return r.enter(ctx, StageCopy)
}

// freeName chooses another name if an index with the planned name exists. That happens with a new journal, whose
// executions are numbered from 1 again.
func (r *Run) freeName(ctx context.Context) error {
	const mostNames = 100
	planned := r.state.New
	for n := 2; ; n++ {
		missing, err := r.cluster.IsGone(ctx, r.state.New)
		if err != nil || missing {
			return err
		}
		if n > mostNames {
			return r.failed("There is no free name for the new index",
				"All names up to "+r.state.New+" are taken.", nil)
		}
		r.state.New = fmt.Sprintf("%s-%d", planned, n)
	}
}

// createdByUs reports whether the index under the new name is the one that create requested: it is empty and blocked.
func (r *Run) createdByUs(ctx context.Context) bool {
	index, err := r.cluster.DescribeNow(context.WithoutCancel(ctx), r.state.New)
	if err != nil || index.Setting("blocks.write") != "true" {
		return false
	}
	count, err := r.cluster.Count(context.WithoutCancel(ctx), r.state.New)
	return err == nil && count == 0
}
