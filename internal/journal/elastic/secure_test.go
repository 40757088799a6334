package elastic

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
	target "github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// role is the role in the guide, for the journals of this test, without one privilege.
func role(without, on string, more ...any) map[string]any {
	grant := func(part string, privileges ...string) map[string]any {
		if part == on {
			privileges = slices.DeleteFunc(privileges, func(p string) bool { return p == without })
		}
		return map[string]any{"names": []string{"*" + part}, "privileges": privileges}
	}
	return map[string]any{"indices": append([]any{
		grant("-entries-*", "read", "create_doc", "create_index", "view_index_metadata", "maintenance"),
		grant("-leases", "read", "index", "delete", "create_index"),
	}, more...)}
}

// all calls everything that a store offers.
func all(t *testing.T, cfg target.Config, index string) error {
	t.Helper()
	s, err := Open(t.Context(), at(cfg, index))
	if err != nil {
		return err
	}
	if err := journaltest.Work(t.Context(), s, journaltest.Subject(1), 1); err != nil {
		return err
	}
	r, err := s.Begin(t.Context(), journaltest.Subject(1), journal.KindIntent, journaltest.Intent())
	if err != nil {
		return err
	}
	for range 2 {
		if err := s.Beat(t.Context(), r.Lease()); err != nil {
			return err
		}
	}
	if _, err := s.Append(t.Context(), r.Lease(), journal.KindOutcome,
		journal.Outcome{Status: journal.StatusSuccess}); err != nil {
		return err
	}
	records, err := s.Find(t.Context(), journal.Filter{})
	if err == nil && len(records) != 2 {
		err = fmt.Errorf("%d records", len(records))
	}
	return err
}

// TestPrivileges works with exactly the privileges in the guide on a cluster that does not create indices
// automatically. The error for a missing privilege names it.
func TestPrivileges(t *testing.T) {
	t.Parallel()
	on := elastictest.Secure(t)
	on.Do(t, http.MethodPut, "/_cluster/settings", `{"persistent":{"action.auto_create_index":"false"}}`, nil)
	t.Run("as superuser", func(t *testing.T) {
		t.Parallel()
		if err := all(t, on.Config, "super"); err != nil {
			t.Error(err)
		}
		if version, auto := readTemplate(t, on, "super"); version != schemaVersion || auto {
			t.Errorf("template of version %d, made automatically %v", version, auto)
		}
	})
	t.Run("as in the guide", func(t *testing.T) {
		t.Parallel()
		for name, cfg := range map[string]target.Config{"user": on.User(t, "guide-user", role("", "")),
			"key": on.APIKey(t, "guide-key", role("", ""))} {
			if err := all(t, cfg, "guide-"+name); err != nil {
				t.Error(err)
			}
			leasesAreGone(t, on, "guide-"+name)
			// A user who may append can't change or remove.
			for _, c := range []struct {
				method, path string
				body         any
			}{{http.MethodPut, "/_doc/1", `{}`}, {http.MethodDelete, "/_doc/1", nil}, {http.MethodPost, "/_update/1",
				`{"doc":{"hash":"x"}}`}} {
				as := *on
				as.Config = cfg
				if status, err := as.Try(t, c.method, "/guide-"+name+"-entries-000000"+c.path, c.body,
					nil); status != http.StatusForbidden {
					t.Errorf("%s: status %d, %v", c.method, status, err)
				}
			}
		}
	})
	for i, missing := range []string{
		"-entries-* read", "-entries-* create_doc", "-entries-* create_index", "-entries-* " +
			"view_index_metadata", "-entries-* maintenance",
		"-leases read", "-leases index", "-leases create_index",
	} {
		t.Run(missing, func(t *testing.T) {
			t.Parallel()
			part, privilege, _ := strings.Cut(missing, " ")
			name := fmt.Sprintf("lacking-%d", i)
			// If the user has the privileges on other indices, the server answers about no index instead of refusing.
			cfg := on.User(t, name, role(privilege, part, map[string]any{"names": []string{"elsewhere-*"},
				"privileges": []string{"all"}}))
			explained(t, all(t, cfg, name), journal.ErrUnavailable, privilege)
			// The same if the journal already exists.
			if err := all(t, on.Config, name+"-old"); err != nil {
				t.Fatal(err)
			}
			if privilege != "create_index" {
				explained(t, all(t, cfg, name+"-old"), journal.ErrUnavailable, privilege)
			}
		})
	}
	t.Run("keep", func(t *testing.T) {
		t.Parallel()
		appender := openTest(t, at(on.User(t, "keep-not", role("", "")), "keep"), usual())
		intent := journaltest.Intent()
		intent.ApprovedBy = ""
		for range 2 { // the first one is the journal's identity and stays
			if _, err := appender.Begin(t.Context(), journaltest.Subject(1), journal.KindDryRun, intent); err != nil {
				t.Fatal(err)
			}
		}
		c, err := journal.Removable(t.Context(), appender, clock.System{}.Now().Add(time.Hour))
		if err != nil || c.DryRuns != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
		_, err = appender.Compact(t.Context(), c)
		explained(t, err, journal.ErrUnavailable, "with journal.keep also index")
		if all := journaltest.Verify(t, appender); len(all) != 2 {
			t.Errorf("%d entries", len(all))
		}
		more := map[string]any{"names": []string{"*-entries-*"}, "privileges": []string{"index"}}
		if _, err := openTest(t, at(on.User(t, "keep-may", role("", "", more)), "keep"), usual()).Compact(t.Context(),
			c); err != nil {
			t.Error(err)
		}
	})
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		cfg := on.Config
		cfg.Password = "wrong"
		explained(t, all(t, cfg, "nobody"), journal.ErrUnavailable, "Check username and password")
	})
}

func leasesAreGone(t *testing.T, on *elastictest.Server, index string) {
	t.Helper()
	on.Do(t, http.MethodPost, "/"+index+"-leases/_refresh", nil, nil)
	var counted struct{ Count int }
	on.Do(t, http.MethodGet, "/"+index+"-leases/_count", nil, &counted)
	if counted.Count != 0 {
		t.Errorf("%d leases are left", counted.Count)
	}
}
