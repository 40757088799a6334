package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// pairs is how many pairs TestPairsOfProcessesNeverOverlap makes.
var pairs = flag.Int("pairs", 15, "pairs of concurrent applies")

const (
	// pairsAtOnce is how many pairs run side by side, each on a target of its own.
	pairsAtOnce = 8
	// workTime is how long the work of one apply takes.
	workTime = 5 * time.Millisecond
	// applierVariable makes the test binary one process of a pair.
	applierVariable = "REMEDIATION_TEST_APPLIER"
	applierTimeout  = 2 * time.Minute
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(applierVariable); dir != "" {
		if err := applyOnce(dir, os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// applyOnce is what a process of a pair does: one apply on the target, with a journal and a folder that both share.
func applyOnce(dir, target, run string) error {
	ctx, cancel := context.WithTimeout(context.Background(), applierTimeout)
	defer cancel()
	clk := clock.System{}
	book := &book{wait: func(context.Context, playbook.Job) (playbook.Outcome, error) {
		// Whoever finds the mark of another one overlaps with it.
		mark := filepath.Join(dir, target+".busy")
		file, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return playbook.Outcome{}, fmt.Errorf("two executions overlap: %w", err)
		}
		time.Sleep(workTime)
		return playbook.Outcome{Message: "done"}, errors.Join(file.Close(), os.Remove(mark))
	}}
	e := engine.New(engine.Config{
		Catalogue: playbook.NewCatalogue(book), Clock: clk, Dir: dir, HistoryLimit: 1, Self: proc.Self(),
		Journal: func(ctx context.Context) (journal.Store, error) {
			return sqlite.Open(ctx, filepath.Join(dir, "journal.db"), clk)
		},
	})
	req := request(target)
	req.Triggers = map[string]string{"run": run}
	_, err := e.Apply(ctx, req, nil, func(engine.Execution) {})
	return err
}

// TestPairsOfProcessesNeverOverlap lets two processes apply to the same target at the same moment, many times: both run, one after
// the other. make chaos makes a thousand pairs.
func TestPairsOfProcessesNeverOverlap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(pairsAtOnce)
	for n := range *pairs {
		group.Go(func() error {
			target := fmt.Sprintf("t%d", n)
			var one, other bytes.Buffer
			first, second := applier(t, self, dir, target, "1"), applier(t, self, dir, target, "2")
			first.Stderr, second.Stderr = &one, &other
			if err := errors.Join(first.Start(), second.Start()); err != nil {
				return err
			}
			if err := errors.Join(first.Wait(), second.Wait()); err != nil {
				return fmt.Errorf("%s: %w\n%s%s", target, err, &one, &other)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "journal.db"), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	executions := journaltest.Sequential(t, store)
	if len(executions) != *pairs {
		t.Errorf("%d targets", len(executions))
	}
	for target, n := range executions {
		if n != 2 {
			t.Errorf("%d executions of %s", n, target)
		}
	}
	t.Logf("%d pairs of processes, %d executions, none at the same time as another one of its target", *pairs, 2**pairs)
}

func applier(t *testing.T, self, dir, target, run string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self, target, run)
	cmd.Env = append(os.Environ(), applierVariable+"="+dir)
	return cmd
}
