package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	journalelastic "github.com/applylens/terraform-provider-remediation/internal/journal/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	defaultJournal  = ".remediation/journal.db"
	pathVariable    = "REMEDIATION_JOURNAL_PATH"
	indexVariable   = "REMEDIATION_JOURNAL_INDEX"
	journalFlagHelp = "journal file (default: the runner's policy, " + pathVariable + ", or " + defaultJournal + ")"
	indexFlagHelp   = "journal in Elasticsearch by its name (default: the runner's policy, or " + indexVariable +
		"); the cluster comes from the ELASTICSEARCH_* variables"
)

// place says where the journal is: in a file, or in Elasticsearch by the journal's name.
type place struct{ path, index string }

// flags declares the flags that name the journal.
func (p *place) flags(flags *pflag.FlagSet) {
	flags.StringVar(&p.path, "journal", "", journalFlagHelp)
	flags.StringVar(&p.index, "index", "", indexFlagHelp)
}

// resolved completes the place. Flags take precedence, because they may name a copy. Without them, it is the journal of
// the runner's policy, as for the provider, and then that of the environment.
func (p place) resolved(ctx context.Context, env Environment) (place, error) {
	if p.path != "" && p.index != "" {
		return p, usageError{"--journal and --index exclude each other."}
	}
	if p.path == "" && p.index == "" {
		var err error
		if p.path, p.index, err = provider.RunnersJournal(ctx, env.Getenv); err != nil {
			return p, err
		}
	}
	if p.path == "" && p.index == "" {
		p.path, p.index = env.Getenv(pathVariable), env.Getenv(indexVariable)
	}
	if p.path != "" && p.index != "" {
		return p, usageError{pathVariable + " and " + indexVariable + " are both set. Use --journal or --index."}
	}
	if p.path == "" && p.index == "" {
		p.path = defaultJournal
	}
	return p, nil
}

// open opens the journal. It fails if there is no journal, unless create is set.
func (p place) open(ctx context.Context, env Environment, create bool) (journal.Store, error) {
	p, err := p.resolved(ctx, env)
	if err != nil {
		return nil, err
	}
	if p.index != "" {
		cfg := elastic.Config{}.WithEnvironment(env.Getenv)
		if !cfg.Configured() {
			return nil, &problem.Problem{What: "No cluster is configured",
				Why:  "The journal is in Elasticsearch, and ELASTICSEARCH_ENDPOINTS is not set.",
				Next: "Set ELASTICSEARCH_ENDPOINTS and the credentials, as for the provider."}
		}
		if err := cfg.Check(); err != nil {
			return nil, err
		}
		store, err := journalelastic.Open(ctx, journalelastic.Config{
			Client: elastic.New(cfg, clock.System{}).Client(), Index: p.index, Clock: clock.System{},
			Existing: !create})
		return identified(store, err)
	}
	if err := p.exists(); err != nil && !create {
		return nil, err
	}
	store, err := sqlite.Open(ctx, p.path, clock.System{})
	return identified(store, err)
}

// exists fails if there is no journal file.
func (p place) exists() error {
	info, err := os.Stat(p.path)
	if err == nil && info.Size() == 0 {
		err = fmt.Errorf("%s is empty: %w", p.path, fs.ErrNotExist)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &problem.Problem{What: fmt.Sprintf("There is no journal %s", p.path), Why: err.Error() + ".",
			Next: "Name it with --journal, or --index for a journal in Elasticsearch.", Err: err}
	}
	return nil
}

// absent reports whether there is no journal file.
func (p place) absent() bool { return p.exists() != nil }

// identified is journal.Identified for a store that may have failed to open.
func identified(store journal.Store, err error) (journal.Store, error) {
	if err != nil {
		return nil, err
	}
	return journal.Identified(store), nil
}

// with opens the journal, calls use, and closes the journal.
func (p place) with(ctx context.Context, env Environment, use func(journal.Store) error) (err error) {
	store, err := p.open(ctx, env, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return use(store)
}

// execution returns the record of the execution that the only argument names, such as "12" or "4f9c2a17-12".
func execution(ctx context.Context, store journal.Store, args []string) (journal.Record, error) {
	if len(args) != 1 {
		return journal.Record{}, usageError{"Expected the number of an execution."}
	}
	ref, err := journal.ParseRef(args[0])
	if err != nil {
		return journal.Record{}, usageError{err.Error() + "."}
	}
	rec, err := store.Get(ctx, ref.Number)
	switch {
	case errors.Is(err, journal.ErrNotFound), err == nil && (rec.DryRun || rec.Status == journal.StatusAdopted):
		return rec, &problem.Problem{What: fmt.Sprintf("The journal has no execution %d", ref.Number),
			Why: "No entry or only a dry run has that number.", Next: "See journal history.", Err: err}
	case err != nil:
		return rec, err
	case ref.Journal != "" && ref.Journal != rec.Journal:
		return rec, &problem.Problem{What: "The execution " + args[0] + " is in another journal",
			Why:  fmt.Sprintf("The number %d of this journal is %s.", ref.Number, rec.Ref()),
			Next: "Specify the execution's journal with --journal (a file) or --index (in Elasticsearch)."}
	}
	return rec, nil
}

// person returns the name to record with an entry: the flag's value, or else the user in the environment.
func person(env Environment, flag string) (string, error) {
	for _, name := range []string{flag, env.Getenv("USER"), env.Getenv("USERNAME")} {
		if name = strings.TrimSpace(name); name != "" {
			return name, nil
		}
	}
	return "", usageError{"Say who you are with --name."}
}
