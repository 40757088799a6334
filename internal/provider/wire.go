package provider

import (
	"maps"
	"os"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtdeps"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtrun"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// wire returns the engine with every playbook and its target. It does no I/O.
func wire(s settings, reached func(engine.Point)) *engine.Engine {
	clk := clock.System{}
	cli := dbt.New(s.dbt, clk)
	cluster := elastic.New(s.elastic, clk)
	return engine.New(engine.Config{
		Catalogue: catalogue(s, cli, cluster, clk),
		Journal:   s.journal.opener(cluster, clk),
		Metrics:   newMetrics(s, cluster, clk),
		Policy:    s.policy, Forge: newForge(s.forge,
			clk), Clock: clk, Dir: s.journal.dir, HistoryLimit: s.historyLimit, Keep: s.retention,
		Self: proc.Self(), Terraform: proc.Parent(os.Getenv), Reached: reached, Redact: s.redact,
		Configuration: s.fingerprint(), LogsBaseURL: s.logsBaseURL,
	})
}

func catalogue(s settings, cli *dbt.CLI, cluster *elastic.Cluster, clk clock.Clock) playbook.Catalogue {
	return playbook.NewCatalogue(
		dbtrun.New(cli, s.estimates),
		dbtdeps.New(cli),
		cacheclear.New(cluster),
		synonyms.New(cluster, reindex.New(cluster, clk), clk),
		planner.NewSplit(s.planner, clk),
		planner.NewRollback(s.planner, clk),
		planner.NewDeploy(s.planner, clk),
	)
}

// ActionTypes returns the action types of all playbooks, sorted.
func ActionTypes() []string {
	return slices.Sorted(maps.Keys(catalogue(settings{}, nil, nil, nil)))
}
