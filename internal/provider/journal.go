package provider

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	journalelastic "github.com/applylens/terraform-provider-remediation/internal/journal/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

const (
	defaultJournal  = ".remediation/journal.db"
	journalVariable = "REMEDIATION_JOURNAL_PATH"
	indexVariable   = "REMEDIATION_JOURNAL_INDEX"
	// retryAfter is the time for which an unreachable journal is not opened again. Otherwise, a plan of 1,000 resources
	// would wait for it 1,000 times.
	retryAfter = 30 * time.Second
)

type journalBlock struct {
	Path          types.String         `tfsdk:"path"`
	Keep          types.String         `tfsdk:"keep"`
	Elasticsearch *elasticJournalBlock `tfsdk:"elasticsearch"`
}

type elasticJournalBlock struct {
	Index types.String `tfsdk:"index"`
}

func journalSchema() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Where dry runs and executions are recorded: in a file on this machine, or in " +
			"Elasticsearch, shared by a team.",
		Attributes: map[string]schema.Attribute{
			"path": optionalString("SQLite file. Default: `.remediation/journal.db`. The folders of executions, with " +
				"logs and artifacts, are next to it. Environment: `REMEDIATION_JOURNAL_PATH`."),
			"keep": optionalString("How long records are kept, such as `8760h`; at least 24h. Default: " +
				"forever. An apply removes older records at its end, reports it in `result.details`, and " +
				"lists them in an entry of the journal, so that the hash chain stays valid. Executions " +
				"with an unknown outcome, everything an approval was requested for, and the last execution " +
				"of each target are always kept. Environment: `REMEDIATION_JOURNAL_KEEP`."),
		},
		Blocks: map[string]schema.Block{
			"elasticsearch": schema.SingleNestedBlock{
				MarkdownDescription: "A journal that machines share, in the cluster of the `elasticsearch` " +
					"block, instead of `path`. One execution at a time runs on a target, on any machine. " +
					"The folders of executions stay on the machine that ran them, in " +
					"`.remediation/<index>/`. See the guide \"A journal in Elasticsearch\".",
				Attributes: map[string]schema.Attribute{
					"index": optionalString("Prefix of the names of its indices. Default: " +
						"`remediation-journal`. Environment: `REMEDIATION_JOURNAL_INDEX`, which selects " +
						"this kind of journal if the block names none."),
				},
			},
		},
	}
}

// journalSettings is the location of the journal: index if it is set, otherwise path.
type journalSettings struct {
	path, index string
	// dir is the folder for executions and caches. Each journal has a separate one, because it assigns the identifiers
	// of executions.
	dir string
}

// journal returns the journal's settings. The configuration takes precedence over the environment.
func (b block) journal(ctx context.Context, cluster bool) (journalSettings, error) {
	var j journalBlock
	if b.Journal != nil {
		j = *b.Journal
	}
	path, index := first(j.Path, journalVariable, ""), first(types.StringNull(), indexVariable, "")
	switch {
	case j.Elasticsearch != nil && !j.Path.IsNull():
		return journalSettings{}, problemAt("journal.elasticsearch", "Two journals are configured",
			"journal has both path and elasticsearch.", "Keep one of them.")
	case j.Elasticsearch != nil:
		return elasticJournal(first(j.Elasticsearch.Index, indexVariable, journalelastic.DefaultIndex), cluster)
	case !j.Path.IsNull() || index == "":
		return fileJournal(ctx, path)
	case path != "":
		return journalSettings{}, problemAt("journal", "Two journals are configured",
			journalVariable+" and "+indexVariable+" are both set.",
			"Unset one of them, or set journal.path or journal.elasticsearch.")
	default:
		return elasticJournal(index, cluster)
	}
}

// RunnersJournal returns the journal in the runner's policy, which REMEDIATION_POLICY names: the path of a file, or the
// name of a journal in Elasticsearch. Both are empty if there is no policy, or if it has no journal. It returns an
// error if the policy can't be used.
func RunnersJournal(ctx context.Context, getenv func(string) string) (path, index string, err error) {
	r, err := readRunner(ctx, getenv, getenv(policyVariable) != "")
	if err != nil || r.journal == nil {
		return "", "", err
	}
	if r.journal.Elasticsearch == nil {
		return r.journal.Path.ValueString(), "", nil
	}
	if index = r.journal.Elasticsearch.Index.ValueString(); index == "" {
		index = getenv(indexVariable)
	}
	if index == "" {
		index = journalelastic.DefaultIndex
	}
	return "", index, nil
}

func elasticJournal(index string, cluster bool) (journalSettings, error) {
	if why := journalelastic.CheckIndex(index); why != "" {
		return journalSettings{}, problemAt("journal.elasticsearch.index",
			fmt.Sprintf("A journal in Elasticsearch can't be named %q", index), why,
			"Set another name, such as "+journalelastic.DefaultIndex+".")
	}
	if !cluster {
		return journalSettings{}, problemAt("journal.elasticsearch",
			"The journal is set to use Elasticsearch, but no cluster is configured",
			"The provider has no elasticsearch block with endpoints, and ELASTICSEARCH_ENDPOINTS is "+
				"not set.", "Set elasticsearch.endpoints in the provider block.")
	}
	dir, err := filepath.Abs(filepath.Join(filepath.Dir(defaultJournal), index))
	if err != nil {
		return journalSettings{}, problemAt("journal.elasticsearch",
			"The path of the executions folder can't be made absolute",
			err.Error(), "Run in a folder that exists.")
	}
	return journalSettings{index: index, dir: dir}, nil
}

func fileJournal(ctx context.Context, path string) (journalSettings, error) {
	if path == "" {
		path = defaultJournal
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return journalSettings{}, problemAt("journal.path", "The journal's path can't be made absolute", err.Error(),
			"Set an absolute path.")
	}
	// In a read-only checkout, a plan only warns. Apply refuses when it opens the journal.
	if err := sqlite.Check(ctx, path); err != nil && !readOnly(err) {
		var p *problem.Problem
		if errors.As(err, &p) {
			at := *p
			at.Path = []string{"journal", "path"}
			return journalSettings{}, &at
		}
		return journalSettings{}, problemAt("journal.path", "The journal can't be used", err.Error(),
			"Set journal.path to a file in a folder that can be written.")
	}
	return journalSettings{path: path, dir: filepath.Dir(path)}, nil
}

// readOnly reports whether the journal can't be written because the checkout is read-only.
func readOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// minRetention is the shortest retention of records: apply compares a plan that was reviewed yesterday with its record.
const minRetention = 24 * time.Hour

func (b block) retention() (time.Duration, error) {
	var configured types.String
	if b.Journal != nil {
		configured = b.Journal.Keep
	}
	text := first(configured, "REMEDIATION_JOURNAL_KEEP", "")
	if text == "" {
		return 0, nil
	}
	d, err := parseDuration(text)
	if err != nil {
		return 0, problemAt("journal.keep", "Invalid keep", err.Error()+".", "Write a duration such as 8760h.")
	}
	if d < minRetention {
		return 0, problemAt("journal.keep", "Invalid keep", fmt.Sprintf("It is %s.", tfkit.Short(d)),
			"Records are kept for at least 24h. Leave it out to keep them forever.")
	}
	return d, nil
}

// opener returns the function that opens the journal.
func (j journalSettings) opener(cluster *elastic.Cluster,
	clk clock.Clock) func(context.Context) (journal.Store, error) {
	if j.index == "" {
		return func(ctx context.Context) (journal.Store, error) { return sqlite.Open(ctx, j.path, clk) }
	}
	cfg := journalelastic.Config{Client: cluster.Client(), Index: j.index, Clock: clk}
	return delayingRetry(clk, func(ctx context.Context) (journal.Store, error) { return journalelastic.Open(ctx, cfg) })
}

// delayingRetry returns an opener that repeats the error for retryAfter if the journal can't be reached.
func delayingRetry(clk clock.Clock, open func(context.Context) (journal.Store,
	error)) func(context.Context) (journal.Store, error) {
	var mu sync.Mutex
	var failed error
	var until time.Time
	return func(ctx context.Context) (journal.Store, error) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil && clk.Now().Before(until) {
			return nil, failed
		}
		store, err := open(ctx)
		failed = nil
		if errors.Is(err, journal.ErrUnavailable) {
			failed, until = err, clk.Now().Add(retryAfter)
		}
		if err != nil {
			return nil, err
		}
		return store, nil
	}
}
