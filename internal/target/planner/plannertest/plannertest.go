// Package plannertest contains the tests that every planner must pass.
package plannertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// Versions of the planner under test.
const (
	Stable = "v1"
	Canary = "v2"
)

// Backend is a planner with the versions Stable at 90% and Canary at 10%, both up.
type Backend struct {
	planner.Planner
	// Second is another client of the same backend.
	Second planner.Planner
	// Foreign changes the canary's share as a client other than this provider would.
	Foreign func(t *testing.T, percent float64)
	// Odd puts the backend into states as operators leave them, by name: ratios that are not percentages, three
	// versions.
	Odd map[string]func(t *testing.T)
	// Weak reports that the backend has no compare-and-set, so concurrent changes can't be detected.
	Weak bool
}

// Run runs the tests, each on a fresh backend.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Backend){
		"reads": reads, "sets": sets, "refuses what moved": refusesMoved, "refuses no split": refusesNoSplit,
		"comes and goes": comesAndGoes, "loses no update": losesNoUpdate, "is named": isNamed,
		"is identified": isIdentified, "restores": restores, "restores odd states": restoresOdd,
		"restores only what holds": restoresOnlyWhatHolds, "projects": projects,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func shares(canary float64) map[string]float64 {
	return map[string]float64{Stable: planner.Whole - canary, Canary: canary}
}

func read(t *testing.T, p planner.Planner) planner.Split {
	t.Helper()
	s, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func demand(t *testing.T, p planner.Planner, canary float64) planner.Split {
	t.Helper()
	s := read(t, p)
	if !planner.Same(s.Shares, shares(canary)) {
		t.Fatalf("the split is %s, want %s", planner.Text(s.Shares), planner.Text(shares(canary)))
	}
	return s
}

func reads(t *testing.T, b Backend) {
	first := demand(t, b, 10)
	if first.Revision == "" || len(first.Down) != 0 || len(first.Shares) != 2 {
		t.Errorf("split %+v", first)
	}
	if again := read(t, b); again.Revision != first.Revision {
		t.Errorf("the revision moved by itself: %q, then %q", first.Revision, again.Revision)
	}
}

func sets(t *testing.T, b Backend) {
	for _, percent := range []float64{25, 100, 0, 10} {
		now := read(t, b)
		got, err := b.Set(t.Context(), planner.Change{Revision: now.Revision, Shares: shares(percent),
			Reason: "a test"})
		if err != nil || !planner.Same(got.Shares, shares(percent)) {
			t.Fatalf("set to %g%%: %s, %v", percent, planner.Text(got.Shares), err)
		}
		demand(t, b.Second, percent)
	}
}

func refusesMoved(t *testing.T, b Backend) {
	old := read(t, b)
	b.Foreign(t, 15)
	_, err := b.Set(t.Context(), planner.Change{Revision: old.Revision, Shares: shares(25)})
	if !errors.Is(err, planner.ErrMoved) {
		t.Errorf("got %v", err)
	}
	demand(t, b, 15)
}

func refusesNoSplit(t *testing.T, b Backend) {
	revision := read(t, b).Revision
	for name, tt := range map[string]struct {
		shares map[string]float64
		want   error
	}{
		"unknown version": {map[string]float64{"v9": 100}, planner.ErrUnknownVersion},
		"not 100":         {map[string]float64{Stable: 50, Canary: 25}, planner.ErrShares},
		"negative":        {map[string]float64{Stable: 110, Canary: -10}, planner.ErrShares},
		"nothing":         {nil, planner.ErrShares},
	} {
		if _, err := b.Set(t.Context(), planner.Change{Revision: revision, Shares: tt.shares}); !errors.Is(err,
			tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := b.Set(t.Context(), planner.Change{Revision: revision, Shares: map[string]float64{"v9": 100}})
	if err == nil || !strings.Contains(err.Error(), Stable+", "+Canary) {
		t.Errorf("the error does not list the versions: %v", err)
	}
	demand(t, b, 10)
}

func comesAndGoes(t *testing.T, b Backend) {
	ctx := t.Context()
	down := planner.Version{Name: Canary, Reason: "a test"}
	if err := b.Decommission(ctx, down); !errors.Is(err, planner.ErrHasTraffic) {
		t.Errorf("a version with traffic went down: %v", err)
	}
	now := read(t, b)
	if _, err := b.Set(ctx, planner.Change{Revision: now.Revision, Shares: shares(0)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Decommission(ctx, down); err != nil {
			t.Fatal(err)
		}
		if s := demand(t, b.Second, 0); s.Deployed(Canary) || !s.Deployed(Stable) {
			t.Errorf("after it went down: %+v", s)
		}
	}
	if now = read(t, b); !now.Latent {
		if _, err := b.Set(ctx, planner.Change{Revision: now.Revision, Shares: shares(10)}); !errors.Is(err,
			planner.ErrNotDeployed) {
			t.Errorf("a version that is down got traffic: %v", err)
		}
	}
	for range 2 {
		if err := b.Deploy(ctx, down); err != nil {
			t.Fatal(err)
		}
		if s := demand(t, b.Second, 0); !s.Deployed(Canary) {
			t.Errorf("after it came up: %+v", s)
		}
	}
	for name, err := range map[string]error{
		"deploy": b.Deploy(ctx, planner.Version{Name: "v9"}), "decommission": b.Decommission(ctx,
			planner.Version{Name: "v9"}),
	} {
		if !errors.Is(err, planner.ErrUnknownVersion) {
			t.Errorf("%s of an unknown version: %v", name, err)
		}
	}
}

// losesNoUpdate makes clients change the split concurrently, all from the same revision. Exactly one must succeed. On a
// weak backend, a second change after the first must be refused.
func losesNoUpdate(t *testing.T, b Backend) {
	if b.Weak {
		now := read(t, b)
		if _, err := b.Second.Set(t.Context(), planner.Change{Revision: now.Revision, Shares: shares(20)}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Set(t.Context(), planner.Change{Revision: now.Revision, Shares: shares(30)}); !errors.Is(err,
			planner.ErrMoved) {
			t.Errorf("the second change: %v", err)
		}
		demand(t, b, 20)
		return
	}
	const clients = 8
	now := read(t, b)
	won := make(chan float64, clients)
	var all sync.WaitGroup
	for i := range clients {
		p, percent := b.Planner, float64(20+i)
		if i%2 == 1 {
			p = b.Second
		}
		all.Go(func() {
			_, err := p.Set(context.WithoutCancel(t.Context()),
				planner.Change{Revision: now.Revision, Shares: shares(percent)})
			switch {
			case err == nil:
				won <- percent
			case !errors.Is(err, planner.ErrMoved):
				t.Errorf("client with %g%%: %v", percent, err)
			}
		})
	}
	all.Wait()
	close(won)
	winners := 0
	for percent := range won {
		winners++
		demand(t, b, percent)
	}
	if winners != 1 {
		t.Errorf("%d changes were accepted for the same revision", winners)
	}
}

func isNamed(t *testing.T, b Backend) {
	one, err := b.Name(t.Context())
	other, otherErr := b.Second.Name(t.Context())
	if err != nil || otherErr != nil || one != other || !strings.HasPrefix(one, "planner:") {
		t.Errorf("names %q and %q, %v, %v", one, other, err, otherErr)
	}
	if line := b.Command(read(t, b), shares(25)); !strings.Contains(line, "25") && !strings.Contains(line, "50") {
		t.Errorf("command %q", line)
	}
}

func isIdentified(t *testing.T, b Backend) {
	one, other := read(t, b), read(t, b.Second)
	if one.Identity == nil || one.Identity != other.Identity {
		t.Errorf("identities %+v and %+v", one.Identity, other.Identity)
	}
}

// restores moves the split away from several states, and restores each of them exactly.
func restores(t *testing.T, b Backend) {
	for _, canary := range []float64{10, 33, 0, 100, 50} {
		now := read(t, b)
		if _, err := b.Set(t.Context(), planner.Change{Revision: now.Revision, Shares: shares(canary)}); err != nil {
			t.Fatal(err)
		}
		before := read(t, b)
		if canary == 0 {
			if err := b.Decommission(t.Context(), planner.Version{Name: Canary, Reason: "a test"}); err != nil {
				t.Fatal(err)
			}
			before = read(t, b)
			if err := b.Deploy(t.Context(), planner.Version{Name: Canary, Reason: "a test"}); err != nil {
				t.Fatal(err)
			}
		}
		away := read(t, b)
		if away, err := b.Set(t.Context(), planner.Change{Revision: away.Revision, Shares: shares(75)}); err != nil {
			t.Fatalf("from %s: %v", planner.Text(away.Shares), err)
		}
		left := read(t, b.Second)
		line, shares, err := b.Restoring(left, before.State)
		if err != nil || line == "" || !planner.Same(shares, before.Shares) {
			t.Errorf("restoring %s: %q, %s, %v", before.State, line, planner.Text(shares), err)
		}
		got, err := b.Second.Restore(t.Context(), planner.Restoration{Revision: left.Revision, State: before.State,
			Reason: "a test"})
		if err != nil || string(got.State) != string(before.State) {
			t.Fatalf("restored %s, want %s: %v", got.State, before.State, err)
		}
		if again := read(t, b); string(again.State) != string(before.State) ||
			again.Deployed(Canary) != before.Deployed(Canary) {
			t.Errorf("reads %s, want %s", again.State, before.State)
		}
		if !read(t, b).Deployed(Canary) {
			if err := b.Deploy(t.Context(), planner.Version{Name: Canary, Reason: "a test"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// restoresOdd moves the split away from each state in Backend.Odd, and restores it exactly.
func restoresOdd(t *testing.T, b Backend) {
	states := b.Odd
	if states == nil {
		states = map[string]func(t *testing.T){}
		for _, percent := range []float64{1, 3, 7, 33, 50, 77, 95, 99} {
			states[fmt.Sprint(percent)] = func(t *testing.T) { t.Helper(); b.Foreign(t, percent) }
		}
	}
	for name, put := range states {
		t.Run(name, func(t *testing.T) {
			put(t)
			before := read(t, b)
			if !before.Deployed(Canary) {
				if err := b.Deploy(t.Context(), planner.Version{Name: Canary, Reason: "a test"}); err != nil {
					t.Fatal(err)
				}
			}
			const away, further = 60, 75
			target := shares(away)
			if planner.Same(before.Shares, target) {
				target = shares(further)
			}
			now := read(t, b)
			if _, err := b.Set(t.Context(), planner.Change{Revision: now.Revision, Shares: target}); err != nil {
				t.Fatalf("from %s: %v", planner.Text(before.Shares), err)
			}
			left := read(t, b.Second)
			if string(left.State) == string(before.State) {
				t.Fatal("nothing was moved")
			}
			_, restored, err := b.Restoring(left, before.State)
			if err != nil || !planner.Same(restored, before.Shares) {
				t.Errorf("restoring %s: %s, %v", before.State, planner.Text(restored), err)
			}
			_, err = b.Second.Restore(t.Context(), planner.Restoration{Revision: left.Revision, State: before.State})
			if got := read(t, b); err != nil || string(got.State) != string(before.State) {
				t.Errorf("restored %s, want %s: %v", got.State, before.State, err)
			}
		})
	}
}

func restoresOnlyWhatHolds(t *testing.T, b Backend) {
	before := read(t, b)
	b.Foreign(t, 15)
	stale := planner.Restoration{Revision: before.Revision, State: before.State}
	if _, err := b.Restore(t.Context(), stale); !errors.Is(err, planner.ErrMoved) {
		t.Errorf("restored over a foreign change: %v", err)
	}
	demand(t, b, 15)
	now := read(t, b)
	for _, bad := range []string{``, `[]`, `{}`, `{"v9": {"percent": 100}}`, `{"canary_pct": 101}`} {
		if _, err := b.Restore(t.Context(), planner.Restoration{Revision: now.Revision,
			State: planner.State(bad)}); err == nil {
			t.Errorf("restored %q", bad)
		}
		if _, _, err := b.Restoring(now, planner.State(bad)); err == nil {
			t.Errorf("%q can be restored", bad)
		}
	}
	demand(t, b, 15)
}
