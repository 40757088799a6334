package dbtrun

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

const (
	// learnedRuns is how many of the newest durations of a model are used.
	learnedRuns = 20
	// leastDeadline is the shortest deadline that follows from measured durations: starting dbt on a busy machine takes
	// a minute, and a warehouse may have to wake up.
	leastDeadline = 5 * time.Minute
)

// durations are measured durations of models in seconds, by unique id.
type durations map[string][]float64

// succeeded matches a detail such as "success in 2.1 s, 100 rows".
var succeeded = regexp.MustCompile(`^success in (\d+(?:\.\d+)?) s`)

// measured returns the durations of models in earlier executions with the same full_refresh, how many executions have
// any, and how many seconds an execution took besides its models, at least and at most.
func (a action) measured(past []playbook.Past, l dbt.Listing) (found durations, runs int, rest [2]float64) {
	found = durations{}
	var others []float64
	for _, p := range past {
		var inputs struct {
			FullRefresh bool `json:"full_refresh"`
		}
		if json.Unmarshal(p.Params, &inputs) != nil || inputs.FullRefresh != a.selection.FullRefresh {
			continue
		}
		own := durations{}
		for _, m := range l.Models {
			if s, ok := secondsOf(p.Details[m.UniqueID]); ok && len(found[m.UniqueID]) < learnedRuns {
				own[m.UniqueID] = []float64{s}
				found[m.UniqueID] = append(found[m.UniqueID], s)
			}
		}
		if len(own) == 0 {
			continue
		}
		runs++
		if beside := p.Duration.Seconds() - a.span(l, own, slices.Max[[]float64]); p.Status == "success" && beside > 0 {
			others = append(others, beside)
		}
	}
	if len(others) > 0 {
		rest = [2]float64{slices.Min(others), slices.Max(others)}
	}
	return found, runs, rest
}

func secondsOf(detail string) (float64, bool) {
	m := succeeded.FindStringSubmatch(detail)
	if m == nil {
		return 0, false
	}
	s, err := strconv.ParseFloat(m[1], 64)
	return s, err == nil
}

// span is how long the models take in seconds with the threads of the run: each starts when a thread is free and when
// what it reads is built. pick chooses one of the durations of a model. Models without any take no time.
func (a action) span(l dbt.Listing, of durations, pick func([]float64) float64) float64 {
	threads := a.selection.Threads
	if threads == 0 {
		threads = max(1, l.Threads)
	}
	free := make([]float64, threads)
	end := map[string]float64{}
	for _, m := range inOrder(l.Models) {
		ready := 0.0
		for _, p := range m.Parents {
			ready = max(ready, end[p.UniqueID])
		}
		seconds := 0.0
		if known := of[m.UniqueID]; len(known) > 0 {
			seconds = pick(known)
		}
		thread := slices.Index(free, slices.Min(free))
		free[thread] = max(free[thread], ready) + seconds
		end[m.UniqueID] = free[thread]
	}
	return slices.Max(free)
}

// inOrder returns the models in an order in which dbt can build them: each after what it reads.
func inOrder(models []dbt.Model) []dbt.Model {
	waits, readers := map[string]int{}, map[string][]dbt.Model{}
	selected := map[string]bool{}
	for _, m := range models {
		selected[m.UniqueID] = true
	}
	var order []dbt.Model
	for _, m := range models {
		for _, p := range m.Parents {
			if selected[p.UniqueID] {
				waits[m.UniqueID]++
				readers[p.UniqueID] = append(readers[p.UniqueID], m)
			}
		}
		if waits[m.UniqueID] == 0 {
			order = append(order, m)
		}
	}
	for i := 0; i < len(order); i++ {
		for _, m := range readers[order[i].UniqueID] {
			if waits[m.UniqueID]--; waits[m.UniqueID] == 0 {
				order = append(order, m)
			}
		}
	}
	return order
}

// estimate completes the preview with how long the run takes and what it costs. What is learned from the journal is a
// figure: it is never part of the digest.
func (a action) estimate(ctx context.Context, l dbt.Listing, p *playbook.Preview) error {
	count := float64(len(l.Models))
	p.CostUSD = playbook.Cents(count * a.estimates.DBTCostPerModelUSD)
	p.Duration = playbook.Seconds(count * a.estimates.DBTSecondsPerModel)
	rate := "default"
	if a.estimates != playbook.DefaultEstimates() {
		rate = "configured"
	}
	p.EstimateOrigin = rate + ", no history"
	past, err := playbook.PastOf(ctx, searched)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return nil //nolint:nilerr // the engine warns about the journal
	}
	found, runs, rest := a.measured(past, l)
	if runs == 0 {
		return nil
	}
	unknown := 0
	for _, m := range l.Models {
		if len(found[m.UniqueID]) == 0 {
			found[m.UniqueID] = []float64{a.estimates.DBTSecondsPerModel}
			unknown++
		}
	}
	p.DurationFrom = playbook.Seconds(a.span(l, found, slices.Min[[]float64]) + rest[0])
	p.Duration = playbook.Seconds(a.span(l, found, slices.Max[[]float64]) + rest[1])
	p.Measured, p.LeastDeadline = unknown == 0, leastDeadline
	p.EstimateOrigin = text.Count(int64(runs), "run")
	if unknown > 0 {
		p.EstimateOrigin += fmt.Sprintf(", %s for %s without history", rate, text.Count(int64(unknown), "model"))
	}
	p.EstimateOrigin += ", " + rate + " cost"
	return nil
}
