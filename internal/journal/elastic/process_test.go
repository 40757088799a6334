package elastic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	target "github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// With childVariable set, the test binary is one of several processes on a journal. It works on the subject whose
// number is the second argument.
const childVariable = "REMEDIATION_TEST_JOURNAL_CHILD"

const (
	children           = 4
	executionsOfAChild = 10
	childTimeout       = 5 * time.Minute
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := childMain(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(elastictest.Main(m))
}

func childMain(index, number string) error {
	ctx, cancel := context.WithTimeout(context.Background(), childTimeout)
	defer cancel()
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	s, err := Open(ctx, at(target.Config{}.WithEnvironment(os.Getenv), index))
	if err != nil {
		return err
	}
	return errors.Join(journaltest.Work(ctx, s, journaltest.Subject(n), executionsOfAChild), s.Close())
}

// child starts the test binary as another process.
func child(t *testing.T, on *elastictest.Server, index string, n int) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, index, strconv.Itoa(n))
	cmd.Env = append(append(os.Environ(), on.Environment(on.URL())...), childVariable+"=work")
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
	on := elastictest.Shared(t)
	index := place(t, on)
	var started []*exec.Cmd
	var outputs []*bytes.Buffer
	for i := range children {
		cmd, output := child(t, on, index, i/2)
		started, outputs = append(started, cmd), append(outputs, output)
	}
	for i, cmd := range started {
		if err := cmd.Wait(); err != nil {
			t.Errorf("child %d: %v\n%s", i, err, outputs[i])
		}
	}
	journaltest.Complete(t, openTest(t, at(on.Config, index), usual()), children*executionsOfAChild)
}

// TestKilledWriters kills processes at arbitrary moments while they write.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	const (
		kills = 6
		step  = 60 * time.Millisecond
	)
	on := elastictest.Shared(t)
	index := place(t, on)
	for i := range kills {
		cmd, _ := child(t, on, index, i)
		time.Sleep(time.Duration(i+1) * step)
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed, or had ended
		journaltest.Verify(t, openTest(t, at(on.Config, index), usual()))
	}
	s := openTest(t, at(on.Config, index), usual())
	left, err := s.Find(t.Context(), journal.Filter{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range left {
		if _, err := s.Append(t.Context(), r.Lease(), journal.KindOutcome,
			journal.Outcome{Status: journal.StatusUnknown}); err != nil {
			t.Error(err)
		}
	}
	if err := journaltest.Work(t.Context(), s, journaltest.Subject(0), 1); err != nil {
		t.Error(err)
	}
	journaltest.Verify(t, s)
}
