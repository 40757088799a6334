package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

func readOnly(t *testing.T, change ...func(*engine.Config)) *bench {
	t.Helper()
	b := newBench(t, change...)
	b.fake.readOnly = true
	return b
}

func TestReadersDoNotWait(t *testing.T) {
	t.Parallel()
	b := readOnly(t)
	inside, release := make(chan struct{}), make(chan struct{})
	b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) {
		inside <- struct{}{}
		<-release
		return playbook.Report{Message: "read"}, nil
	}
	const readers = 3
	results := make(chan error, readers)
	for range readers {
		go func() {
			_, err := b.apply(t, request("a"))
			results <- err
		}()
	}
	for range readers {
		<-inside // all of them are at work
	}
	close(release)
	for range readers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestReaderOfADeadProcessIsClosedAndReadsAgain(t *testing.T) {
	t.Parallel()
	b := readOnly(t)
	b.fake.adopt = playbook.ErrNeverBegan
	b.fake.readOnly = true
	dead := b.leaveReading(t, request("a"))
	x, err := b.apply(t, request("a"))
	if err != nil || x.Adopted || x.Record.ID == dead.ID || x.Record.Status != journal.StatusSuccess {
		t.Errorf("%+v, %v", x.Record, err)
	}
	if rec, err := b.store.Get(t.Context(), dead.ID); err != nil || rec.Status != journal.StatusCancelled {
		t.Errorf("the dead one is %s, %v", rec.Status, err)
	}
}

// leaveReading journals a reading as a process that died would have left it.
func (b *bench) leaveReading(t *testing.T, req engine.Request) journal.Record {
	t.Helper()
	review, err := b.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := b.store.Begin(t.Context(), journal.Subject{Playbook: "fake", Target: review.Target,
		Request: review.Request, Incident: req.Incident, Digest: review.Digest}, journal.KindIntent,
		journal.Intent{Params: req.Params, Triggers: req.Triggers, Holder: dead(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestReadersAreNotAttempts checks that they neither end a row of failures nor need the approval that follows it.
func TestReadersAreNotAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 3 {
		b.fake.readOnly = false
		b.fake.wait = func(context.Context, playbook.Job) (playbook.Report, error) { return playbook.Report{}, errBoom }
		if _, err := b.apply(t, request("a")); err == nil {
			t.Fatal("no failure")
		}
		b.fake.readOnly, b.fake.wait = true, nil
		if _, err := b.apply(t, request("b")); err != nil {
			t.Fatal(err)
		}
	}
	b.fake.readOnly = false
	if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrNotApproved) {
		t.Errorf("a fourth attempt without an approval: %v", err)
	}
}

func TestFreezeDoesNotBlockReaders(t *testing.T) {
	t.Parallel()
	always, err := approval.Freeze{Name: "always", Recurrence: "FREQ=DAILY", Zone: "UTC",
		Length: 24 * time.Hour}.Parse(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *engine.Config) { c.Policy = approval.Policy{Freeze: []approval.Freeze{always}} })
	if _, err := b.apply(t, request("a")); !errors.Is(err, engine.ErrNotApproved) {
		t.Errorf("a change in the freeze: %v", err)
	}
	b.fake.readOnly = true
	if _, err := b.apply(t, request("a")); err != nil {
		t.Error(err)
	}
}

func TestIncidentBeganWithItsFirstChange(t *testing.T) {
	t.Parallel()
	for name, incident := range map[string]string{"of the incident": "INC-1", "of this apply": ""} {
		b := newBench(t)
		req := request("a")
		req.Incident = incident
		var got time.Time
		asks := func(ctx context.Context, job playbook.Job) (playbook.Report, error) {
			var err error
			got, err = job.IncidentBegan(ctx)
			return playbook.Report{}, err
		}
		b.fake.readOnly, b.fake.wait = true, asks
		alone, err := b.apply(t, req)
		if err != nil || !got.Equal(alone.Record.CreatedAt) {
			t.Errorf("%s: alone, it began %s (%v), want %s", name, got, err, alone.Record.CreatedAt)
		}
		b.fake.readOnly, b.fake.wait = false, nil
		first, err := b.apply(t, req)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := req
		elsewhere.Incident = "INC-9"
		if _, err := b.apply(t, elsewhere); err != nil {
			t.Fatal(err)
		}
		b.fake.readOnly, b.fake.wait = true, asks
		if _, err := b.apply(t, req); err != nil || !got.Equal(first.Record.CreatedAt) {
			t.Errorf("%s: it began %s (%v), want %s", name, got, err, first.Record.CreatedAt)
		}
	}
}
