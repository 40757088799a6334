package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	elasticjournal "github.com/applylens/terraform-provider-remediation/internal/journal/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// The number of pairs that TestPairsOfProcessesNeverOverlap makes.
var (
	pairs       = flag.Int("pairs", 16, "pairs of concurrent applies with the journal in a file")
	sharedPairs = flag.Int("pairs.shared", 4, "pairs of concurrent applies with the journal in Elasticsearch")
)

const (
	// pairsAtOnce is how many pairs run concurrently, each on a separate target.
	pairsAtOnce = 8
	// workTime is how long the work of one apply takes.
	workTime = 5 * time.Millisecond
	// applierVariable makes the test binary one process of a pair. Its value is the folder that both share. The journal
	// is in that folder, or in the index that indexVariable names.
	applierVariable = "REMEDIATION_TEST_APPLIER"
	indexVariable   = "REMEDIATION_TEST_APPLIER_INDEX"
	applierTimeout  = 2 * time.Minute
	// also is the prefix of the other name of a target.
	also = "also-"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(applierVariable); dir != "" {
		if err := applyOnce(dir, os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(elastictest.Main(m))
}

// opener opens the journal that the processes of a test share: in the index, or in the folder if index is empty.
func opener(dir, index string, cluster elastic.Config) func(context.Context) (journal.Store, error) {
	return func(ctx context.Context) (journal.Store, error) {
		clk := clock.System{}
		if index != "" {
			client := elastic.New(cluster, clk).Client()
			return elasticjournal.Open(ctx, elasticjournal.Config{Client: client, Index: index, Clock: clk})
		}
		return sqlite.Open(ctx, filepath.Join(dir, "journal.db"), clk)
	}
}

// applyOnce is what a process of a pair does: one apply on the target, with a shared journal and folder.
func applyOnce(dir, target, run string) error {
	ctx, cancel := context.WithTimeout(context.Background(), applierTimeout)
	defer cancel()
	thing := strings.TrimPrefix(target, also)
	fake := &fakePlaybook{locks: map[string][]string{target: {"fake:" + thing}},
		wait: func(context.Context, playbook.Job) (playbook.Report, error) {
			// A process that finds the mark of another one overlaps with it.
			mark := filepath.Join(dir, thing+".busy")
			file, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return playbook.Report{}, fmt.Errorf("two executions overlap: %w", err)
			}
			time.Sleep(workTime)
			return playbook.Report{Message: "done"}, errors.Join(file.Close(), os.Remove(mark))
		}}
	e := engine.New(engine.Config{
		Catalogue: playbook.NewCatalogue(fake), Clock: clock.System{}, Dir: dir, HistoryLimit: 1, Self: proc.Self(),
		Journal: opener(dir, os.Getenv(indexVariable), elastic.Config{}.WithEnvironment(os.Getenv)),
	})
	req := request(target)
	req.Triggers = map[string]string{"run": run}
	_, err := e.Apply(ctx, req, nil, func(engine.Execution) {})
	return err
}

// TestPairsOfProcessesNeverOverlap makes two processes apply to the same target at the same moment, many times: both
// run, one after the other. In every second pair they use two names of the target. make chaos runs a thousand pairs.
func TestPairsOfProcessesNeverOverlap(t *testing.T) {
	t.Parallel()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		overlapNever(t, "a file", *pairs, opener(dir, "", elastic.Config{}), applierVariable+"="+dir)
	})
	t.Run("elasticsearch", func(t *testing.T) {
		t.Parallel()
		on := elastictest.Shared(t)
		index := on.Name(t, "pairs")
		t.Cleanup(func() { _, _ = on.Try(t, http.MethodDelete, "/_index_template/"+index, nil, nil) })
		env := append(on.Environment(on.URL()), indexVariable+"="+index, applierVariable+"="+t.TempDir())
		overlapNever(t, "Elasticsearch", *sharedPairs, opener("", index, on.Config), env...)
	})
}

func overlapNever(t *testing.T, kind string, pairs int,
	open func(context.Context) (journal.Store, error), env ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	applier := func(target, run string, out *bytes.Buffer) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), self, target, run)
		cmd.Env, cmd.Stderr = append(os.Environ(), env...), out
		return cmd
	}
	var group errgroup.Group
	group.SetLimit(pairsAtOnce)
	for n := range pairs {
		group.Go(func() error {
			names := [2]string{fmt.Sprintf("t%d", n), fmt.Sprintf("t%d", n)}
			if n%2 == 1 {
				names[1] = also + names[1]
			}
			var one, other bytes.Buffer
			first, second := applier(names[0], "1", &one), applier(names[1], "2", &other)
			if err := errors.Join(first.Start(), second.Start()); err != nil {
				return err
			}
			if err := errors.Join(first.Wait(), second.Wait()); err != nil {
				return fmt.Errorf("%s: %w\n%s%s", names, err, &one, &other)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	store, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	executions := journaltest.Sequential(t, store)
	for n := range pairs {
		target := fmt.Sprintf("fake:t%d", n)
		if ran := executions[target] + executions["fake:"+also+strings.TrimPrefix(target, "fake:")]; ran != 2 {
			t.Errorf("%d executions of %s", ran, target)
		}
	}
	t.Logf("%d pairs of processes with the journal in %s, %d executions, none at the same time as another one of its "+
		"target", pairs, kind, 2*pairs)
}
