package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

// With childVariable set, the test binary is one of several processes on a journal, and does what childMain says.
const childVariable = "REMEDIATION_TEST_JOURNAL_CHILD"

const (
	children           = 4
	executionsOfAChild = 25
	childTimeout       = 2 * time.Minute
	// exitBusy is the exit code of a child whose Begin was refused.
	exitBusy = 9
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		os.Exit(childMain(task, os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

func childMain(task, path string, args []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), childTimeout)
	defer cancel()
	var err error
	switch task {
	case "work":
		err = childWork(ctx, path, args[0])
	case "begin":
		err = childBegin(ctx, path)
	case "die writing":
		err = childDieWriting(ctx, path, args[0])
	}
	var busy *journal.BusyError
	if errors.As(err, &busy) {
		return exitBusy
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func childWork(ctx context.Context, path, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	s, err := Open(ctx, path, clock.System{})
	if err != nil {
		return err
	}
	return errors.Join(journaltest.Work(ctx, s, journaltest.Subject(n), executionsOfAChild), s.Close())
}

func childBegin(ctx context.Context, path string) error {
	s, err := Open(ctx, path, clock.System{})
	if err != nil {
		return err
	}
	_, err = s.Begin(ctx, journaltest.Subject(0), journal.KindIntent, journaltest.Intent())
	return errors.Join(err, s.Close())
}

// child starts the test binary as another process.
func child(t *testing.T, task string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), childVariable+"="+task)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &output
}

// TestProcesses writes a journal from several processes at once. Each target is shared by two of them, which wait for
// each other.
func TestProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "journal.db")
	var started []*exec.Cmd
	var outputs []*bytes.Buffer
	for i := range children {
		cmd, output := child(t, "work", path, strconv.Itoa(i/2))
		started, outputs = append(started, cmd), append(outputs, output)
	}
	for i, cmd := range started {
		if err := cmd.Wait(); err != nil {
			t.Errorf("child %d: %v\n%s", i, err, outputs[i])
		}
	}
	journaltest.Complete(t, openTest(t, path), children*executionsOfAChild)
}

func TestProcessesBeginOnce(t *testing.T) {
	t.Parallel()
	const rounds = 3
	for range rounds {
		path := filepath.Join(t.TempDir(), "journal.db")
		var started []*exec.Cmd
		var outputs []*bytes.Buffer
		for range children {
			cmd, output := child(t, "begin", path)
			started, outputs = append(started, cmd), append(outputs, output)
		}
		won := 0
		for i, cmd := range started {
			var exit *exec.ExitError
			switch err := cmd.Wait(); {
			case err == nil:
				won++
			case !errors.As(err, &exit) || exit.ExitCode() != exitBusy:
				t.Errorf("child %d: %v\n%s", i, err, outputs[i])
			}
		}
		if won != 1 {
			t.Errorf("%d processes began an execution", won)
		}
		if all := journaltest.Verify(t, openTest(t, path)); len(all) != 1 {
			t.Errorf("%d entries", len(all))
		}
	}
}

// TestKilledWriters kills processes at arbitrary moments while they write.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	const (
		kills = 8
		most  = 80 // for machines that are slow to start a process
		step  = 15 * time.Millisecond
	)
	path := filepath.Join(t.TempDir(), "journal.db")
	written := 0
	for i := 0; i < kills || written == 0 && i < most; i++ {
		cmd, _ := child(t, "work", path, strconv.Itoa(i))
		time.Sleep(time.Duration(i+1) * step)
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed, or had ended
		written = len(journaltest.Verify(t, openTest(t, path)))
	}
	s := openTest(t, path)
	open, err := s.Find(t.Context(), journal.Filter{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range open {
		if _, err := s.Append(t.Context(), r.Lease(), journal.KindOutcome,
			journal.Outcome{Status: journal.StatusUnknown}); err != nil {
			t.Error(err)
		}
	}
	if len(journaltest.Verify(t, s)) == 0 {
		t.Error("nothing was written before the kills")
	}
}
