package provider

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/forge"
	"github.com/applylens/terraform-provider-remediation/internal/notify"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// defaultHistory is the number of executions that a resource keeps in state.
const defaultHistory = 10

// settings is the provider block, completed with environment variables and defaults.
type settings struct {
	dbt          dbt.Config
	journal      journalSettings
	retention    time.Duration
	planner      planner.Planner
	elastic      elastic.Config
	prometheus   prometheusSettings
	incidents    incidents.Config
	webhooks     []notify.Webhook
	policy       approval.Policy
	forge        *forge.Config
	estimates    playbook.Estimates
	historyLimit int
	// logsBaseURL is the address under which the journal's folder is published, or empty.
	logsBaseURL string
	runner      runner
	// redact masks secrets in logs.
	redact func(string) string
}

// settings completes the block, to which the runner's policy was applied.
func (b block) settings(ctx context.Context, r runner) (settings, error) {
	s := settings{historyLimit: defaultHistory, estimates: playbook.DefaultEstimates(), runner: r}
	if !b.HistoryLimit.IsNull() {
		s.historyLimit = int(whole(b.HistoryLimit))
	}
	var err error
	if s.retention, err = b.retention(); err != nil {
		return settings{}, err
	}
	if s.policy, err = b.policy(r); err != nil {
		return settings{}, err
	}
	if s.forge, err = b.forge(system(), r); err != nil {
		return settings{}, err
	}
	if s.forge != nil {
		s.policy.Forge = s.forge.Place()
	}
	if s.planner, err = b.planner(r); err != nil {
		return settings{}, err
	}
	if s.elastic, err = b.elasticsearch(r); err != nil {
		return settings{}, err
	}
	if s.journal, err = b.journal(ctx, s.elastic.Configured()); err != nil {
		return settings{}, err
	}
	if s.logsBaseURL, err = b.logsBaseURL(); err != nil {
		return settings{}, err
	}
	if s.prometheus, err = b.prometheus(r); err != nil {
		return settings{}, err
	}
	if s.incidents, err = b.incidents(r); err != nil {
		return settings{}, err
	}
	if s.webhooks, err = b.notify(r); err != nil {
		return settings{}, err
	}
	s.dbt = b.dbtConfig(s.journal.dir)
	s.dbt.Executables, s.dbt.MayConnect, s.dbt.PackageHost = r.executables, r.mayConnect(s.dbt), r.packageHost
	if err := s.dbt.Check(); err != nil {
		return settings{}, err
	}
	if e := b.Estimates; e != nil {
		override(&s.estimates.DBTSecondsPerModel, e.DBTSecondsPerModel)
		override(&s.estimates.DBTCostPerModelUSD, e.DBTCostPerModelUSD)
		s.estimates.DBTCostPerModelUSD = r.costPerModel(s.estimates.DBTCostPerModelUSD)
	}
	return s, nil
}

func override(into *float64, v types.Number) {
	if !v.IsNull() {
		*into = decimal(v)
	}
}

// whole and decimal return numbers whose bounds the schema has checked, or 0 if they are not set.
func whole(v types.Number) int64 {
	if v.IsNull() || v.IsUnknown() {
		return 0
	}
	n, _ := v.ValueBigFloat().Int64()
	return n
}

func decimal(v types.Number) float64 {
	if v.IsNull() || v.IsUnknown() {
		return 0
	}
	n, _ := v.ValueBigFloat().Float64()
	return n
}

// first returns the configured value, the value of the environment variable, or the default, in this order.
func first(configured types.String, variable, fallback string) string {
	if v := configured.ValueString(); v != "" {
		return v
	}
	if v := os.Getenv(variable); v != "" {
		return v
	}
	return fallback
}

func (b block) dbtConfig(dir string) dbt.Config {
	var d dbtBlock
	if b.DBT != nil {
		d = *b.DBT
	}
	return dbt.Config{
		Executable:  first(d.Executable, "REMEDIATION_DBT_EXECUTABLE", "dbt"),
		ProjectDir:  first(d.ProjectDir, "DBT_PROJECT_DIR", "."),
		ProfilesDir: first(d.ProfilesDir, "DBT_PROFILES_DIR", ""),
		Target:      first(d.Target, "DBT_TARGET", ""),
		Environment: d.Environment,
		WorkDir:     filepath.Join(dir, "dbt"),
	}
}
