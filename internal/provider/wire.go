package provider

import (
	"context"
	"maps"
	"os"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/metrics"
	"github.com/applylens/terraform-provider-remediation/internal/notify"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtdeps"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/dbtrun"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/gate"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/planner"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/resolution"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/synonyms"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
)

// wired is a configured engine with what has to be closed when the process ends.
type wired struct {
	engine *engine.Engine
	// sender sends notices; nil if there are none.
	sender *notify.Sender
	dbt    *dbt.CLI
}

// wire returns the engine with every playbook and its target. It does no I/O.
func wire(s settings, planned *engine.Planned, o Options) wired {
	clk := o.Clock
	if clk == nil {
		clk = clock.System{}
	}
	sender := notify.New(clk, s.redact, s.webhooks)
	cluster := elastic.New(s.elastic, clk)
	reader := newMetrics(s, cluster, clk)
	var e *engine.Engine
	to := targets{dbt: dbt.New(s.dbt, clk), elastic: cluster, metrics: reader, incidents: incidents.New(s.incidents),
		executed: func(ctx context.Context, incident string) ([]resolution.Execution, error) {
			return executedFor(ctx, e, incident)
		}}
	folder, err := os.Getwd()
	if err != nil {
		folder = "" // then a plan that is applied in another folder isn't noticed as one
	}
	cfg := engine.Config{
		Catalogue: catalogue(s, to, clk),
		Journal:   s.journal.opener(cluster, clk),
		Metrics:   reader,
		Policy:    s.policy, Forge: newForge(s.forge, clk), Clock: clk, Dir: s.journal.dir,
		HistoryLimit: s.historyLimit, Keep: s.retention, ProgramsListed: s.dbt.Executables != nil,
		Self: proc.Self(), Terraform: proc.Parent(os.Getenv), Reached: o.Reached, Redact: s.redact,
		Folder: folder, Configuration: s.fingerprint(), LogsBaseURL: s.logsBaseURL, Planned: planned,
	}
	if sender != nil {
		cfg.Notifier = sender
	}
	e = engine.New(cfg)
	return wired{engine: e, sender: sender, dbt: to.dbt}
}

// targets are the systems that playbooks change or read.
type targets struct {
	dbt     *dbt.CLI
	elastic *elastic.Cluster
	metrics *metrics.Reader
	// incidents is the incident service, and executed lists the executions for an incident.
	incidents *incidents.Client
	executed  resolution.Executed
}

func catalogue(s settings, t targets, clk clock.Clock) playbook.Catalogue {
	return playbook.NewCatalogue(
		dbtrun.New(t.dbt, s.estimates),
		dbtdeps.New(t.dbt),
		cacheclear.New(t.elastic, clk),
		synonyms.New(t.elastic, reindex.New(t.elastic, clk), clk),
		gate.New(t.metrics, clk),
		planner.NewSplit(s.planner, clk),
		planner.NewRollback(s.planner, clk),
		planner.NewDeploy(s.planner, clk),
		resolution.New(t.incidents, t.executed),
	)
}

// ActionTypes returns the action types of all playbooks, sorted.
func ActionTypes() []string {
	return slices.Sorted(maps.Keys(catalogue(settings{}, targets{}, nil)))
}
