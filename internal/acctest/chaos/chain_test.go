package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
)

const (
	// applyTimeout bounds one apply, including the wait for busy targets.
	applyTimeout = 2 * time.Minute
	// tries is the maximum number of applies until one succeeds.
	tries    = 6
	dirMode  = 0o755
	fileMode = 0o644
)

// world is a playbook with the real system that it changes.
type world struct {
	// name identifies it, playbook is its action type, resource its type in Terraform.
	name, playbook, resource string
	// provider is added to the provider block, env to Terraform's environment.
	provider string
	env      []string
	// begin prepares the target for round n, and returns the resource's inputs.
	begin func(t *testing.T, n int) string
	// amiss describes what is wrong with the target after round n, or returns "".
	amiss func(t *testing.T, n int) string
	// ledger records what the target received.
	ledger *ledger
	// arm, if set, makes the next start of dbt kill the victim. disarm reverts that.
	arm    func(victim string)
	disarm func() bool
	// reads reports that executions change nothing, so several may succeed for the same triggers.
	reads bool
	// always reports that every successful execution changes something.
	always bool
	// takes and steps describe an execution to the deck.
	takes time.Duration
	steps int
}

// chain is a series of applies in one working directory, most of which are killed.
type chain struct {
	t     *testing.T
	w     *world
	ws    *acctest.Workspace
	deck  *deck
	tally *tally
	// dir is the folder for the providers' marker files.
	dir string
	// round and run number the goals and the triggers.
	round, run int
	// applies counts the applies. inputs are those of the last configuration.
	applies int
	inputs  string
	// shots are those of the round, for the report.
	shots []string
	// seen contains the executions that appeared in any output.
	seen map[int64]bool
	// sound is the last valid state file.
	sound []byte

	mu    sync.Mutex
	store journal.Store
}

// address matches the number of an execution, with or without the prefix of its journal.
var address = regexp.MustCompile(`execution (?:[0-9a-f]{8}-)?(\d+)`)

// journal opens the chain's journal if it exists.
func (c *chain) journal() (journal.Store, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store != nil {
		return c.store, nil
	}
	path := filepath.Join(c.ws.Dir, ".remediation", "journal.db")
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	store, err := sqlite.Open(context.Background(), path, clock.System{})
	if err != nil {
		return nil, err
	}
	c.store = store
	return store, nil
}

// last returns the newest matching execution in the journal, or zero.
func (c *chain) last(f journal.Filter) int64 { return c.lastRecord(f).ID }

func (c *chain) lastRecord(f journal.Filter) journal.Record {
	store, err := c.journal()
	if err != nil {
		return journal.Record{}
	}
	f.Limit = 1
	found, err := store.Find(context.Background(), f)
	if err != nil || len(found) == 0 {
		return journal.Record{}
	}
	return found[0]
}

// underWay is how long a change may still arrive after its sender has stopped waiting.
const underWay = 5 * time.Second

// holder returns the execution of a change that arrives now: the open one, or one that was cancelled while the change
// was being sent. A provider whose Terraform was killed is asked to stop and no longer waits for an answer.
func (c *chain) holder() int64 {
	if open := c.last(journal.Filter{Open: true}); open != 0 {
		return open
	}
	rec := c.lastRecord(journal.Filter{})
	if rec.Status == journal.StatusCancelled && rec.Result != nil && time.Since(rec.Result.FinishedAt) < underWay {
		return rec.ID
	}
	return 0
}

func (c *chain) write(inputs string) {
	incident := `incident_id = "INC-7"`
	if strings.Contains(inputs, "incident_id") { // it is the world's own input
		incident = ""
	}
	c.ws.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  %s
}

resource %q "it" {
  %s
  approved_by = "lead-%d@example.com"
  triggers    = { run = "%d" }
  %s
}
`, c.w.provider, c.w.resource, incident, c.applies, c.run, inputs))
	c.inputs = inputs
}

// apply runs one apply, killed by s unless s is nil. It returns its output, whether it succeeded, and whether the shot
// hit.
func (c *chain) apply(s *shot) (string, bool, bool) {
	c.t.Helper()
	if err := os.Remove(filepath.Join(c.dir, "killed")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
	// A name approves one execution. A later execution that starts from another state of the target needs another name.
	c.applies++
	c.write(c.inputs)
	ctx, cancel := context.WithTimeout(c.t.Context(), applyTimeout)
	defer cancel()
	cmd := c.ws.Command(ctx, "apply", "-auto-approve", "-no-color", "-refresh=false")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(cmd.Env, "CHAOS_DIR="+c.dir)
	terraform := &running{ready: make(chan struct{}), killed: make(chan struct{}, 1)}
	if s != nil {
		cmd.Env = append(cmd.Env, "CHAOS_VICTIM="+s.victim)
		c.aim(cmd, s, terraform)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	terraform.process = cmd.Process
	close(terraform.ready)
	if s != nil && s.start > 0 {
		timer := time.AfterFunc(s.start, func() { c.kill(terraform, s.victim) })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		c.t.Fatalf("%s: an apply did not end within %s:\n%s", c, applyTimeout, out.String())
	}
	c.w.ledger.arm(nil)
	hit := len(terraform.killed) > 0
	if c.w.disarm != nil && c.w.disarm() {
		hit = true
	}
	if _, err := os.Stat(filepath.Join(c.dir, "killed")); err == nil {
		hit = true
	}
	for _, m := range address.FindAllStringSubmatch(out.String(), -1) {
		id, _ := strconv.ParseInt(m[1], 10, 64)
		c.seen[id] = true
	}
	c.mend()
	return out.String(), err == nil, hit
}

// mend restores the last valid state if Terraform died while it wrote its state, as its user would.
func (c *chain) mend() {
	c.t.Helper()
	path := filepath.Join(c.ws.Dir, "terraform.tfstate")
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		c.t.Fatal(err)
	case json.Valid(text), len(text)+len(c.sound) == 0: // Terraform creates an empty file for its lock
		c.sound = text
	default:
		c.tally.count(&c.tally.torn)
		c.shots = append(c.shots, "its state was torn and put back")
		if err := errors.Join(os.Remove(path), os.WriteFile(path, c.sound, fileMode)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// String identifies the chain and everything done in its round, for a report.
func (c *chain) String() string {
	return fmt.Sprintf("seed %d, %s, round %d [%s]", *seed, c.w.name, c.round, strings.Join(c.shots, "; "))
}

// play plays rounds until it has made quota kills, or the time is over.
func (c *chain) play(quota int, until time.Time) {
	c.t.Helper()
	const most = 8
	for kills, idle := 0, 0; kills < quota && !c.t.Failed() && time.Now().Before(until); c.round++ {
		c.run++
		inputs := c.w.begin(c.t, c.round)
		c.write(inputs)
		c.shots = nil
		before := kills
		for left := min(1+c.deck.rng.IntN(most), quota-kills); left > 0; left-- {
			s := c.deck.deal(c.w.ledger.holder() != 0)
			started := time.Now()
			out, ok, hit := c.apply(&s)
			if hit {
				kills++
				c.tally.kill(c.w.playbook, s)
				c.shots = append(c.shots, s.String())
			} else if s.start > 0 {
				c.deck.apply = max(time.Since(started), 2*c.deck.takes)
			}
			if ok {
				break
			}
			if unknown(out) {
				c.run++
				c.write(inputs)
			}
		}
		c.converge(inputs)
		c.check()
		if idle++; kills > before {
			idle = 0
		}
		if idle > tries {
			c.t.Fatalf("%s: nobody was killed in %d rounds", c, idle)
		}
	}
}

// unknown reports whether an apply asks for new triggers because an outcome can't be determined.
func unknown(out string) bool {
	return strings.Contains(flat(out), "change triggers to run it again") ||
		strings.Contains(flat(out), "The outcome of execution") && strings.Contains(flat(out), "is unknown")
}

var breaks = regexp.MustCompile(`\s*\n(│ )?\s*`)

func flat(out string) string { return breaks.ReplaceAllString(out, " ") }

// converge runs applies without kills until the state is as configured.
func (c *chain) converge(inputs string) {
	c.t.Helper()
	var last string
	for range tries {
		out, ok, _ := c.apply(nil)
		if ok {
			return
		}
		last = out
		c.tally.retry(out)
		c.t.Logf("%s: an apply without a kill failed:\n%s", c, out)
		if unknown(out) {
			c.run++
			c.write(inputs)
		}
	}
	c.t.Fatalf("%s: no apply succeeds:\n%s", c, last)
}
