package cacheclear_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/playbook/cacheclear"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

func TestAdoption(t *testing.T) {
	t.Parallel()
	cluster := elastic.New(elastic.Config{}, clock.System{})
	action := bind(t, cluster, map[string]any{"index_name": "kb"})
	if _, err := action.Adopt(t.Context(), playbook.Job{ID: 1}); !errors.Is(err, playbook.ErrNeverBegan) {
		t.Errorf("not dispatched: %v, want ErrNeverBegan", err)
	}
	job := playbook.Job{ID: 1, RemoteID: "cache_clear"}
	if _, err := action.Adopt(t.Context(), job); !errors.Is(err, playbook.ErrNeverBegan) {
		t.Errorf("dispatched, and not begun: %v, want ErrNeverBegan", err)
	}
	job.Progress = json.RawMessage(`{"clearing":true}`)
	if _, err := action.Adopt(t.Context(), job); err == nil || errors.Is(err, playbook.ErrNeverBegan) {
		t.Errorf("begun: %v, want an unknown outcome", err)
	}
}

// TestNothingIsSentBeforeItIsJournaled refuses the entry that has to come first.
func TestNothingIsSentBeforeItIsJournaled(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "unjournaled")
	makeIndex(t, s, index)
	cluster, requests := counted(s)
	action := bind(t, cluster, map[string]any{"index_name": index})
	preview, err := action.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	work, err := action.Dispatch(t.Context(), playbook.Job{ID: 1, Preview: preview,
		Checkpoint: func(context.Context, any) error { return full }})
	if err != nil {
		t.Fatal(err)
	}
	before := requests.count.Load()
	const sizes = 1 // are read before
	if _, err := work.Wait(t.Context()); !errors.Is(err, full) || requests.count.Load() != before+sizes {
		t.Errorf("error %v, %d requests", err, requests.count.Load()-before)
	}
}

func TestIndexThatDoesNotExistFails(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "gone")
	makeIndex(t, s, index)
	action := bind(t, elastic.New(s.Config, clock.System{}), map[string]any{"index_name": index})
	preview, err := action.Preview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Do(t, http.MethodDelete, "/"+index, nil, nil)
	work, err := action.Dispatch(t.Context(), playbook.Job{ID: 1, Preview: preview, Checkpoint: journaled})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := work.Wait(t.Context()); !errors.Is(err, elastic.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
}

// TestServerless: the plan refuses what a serverless cluster has no API for.
func TestServerless(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "serverless")
	s.Do(t, http.MethodPut, "/"+index, nil, nil)
	cfg := s.Config
	cfg.Transport = elastictest.Serverless
	action, err := cacheclear.New(elastic.New(cfg, clock.System{}), clock.System{}).Bind(
		json.RawMessage(fmt.Sprintf(`{"index_name": %q}`, index)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := action.Preview(t.Context()); !errors.Is(err, cacheclear.ErrServerless) ||
		!strings.Contains(err.Error(), "has no API for it") {
		t.Errorf("error %v", err)
	}
}
