package dbt

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// hubProject is a project with a package of a hub at an address.
func hubProject(t *testing.T, address string) Config {
	t.Helper()
	cfg := shop(t)
	cfg.Environment = map[string]string{"DBT_PACKAGE_HUB_URL": "http://" + address + "/"}
	write(t, filepath.Join(cfg.ProjectDir, "packages.yml"),
		"packages:\n  - package: dbt-labs/dbt_utils\n    version: [\">=1.0.0\"]\n")
	return cfg
}

// silent returns the address of a server that accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // ends with the test
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return listener.Addr().String()
}

// TestPackageHubThatFails previews packages of a hub at an address where nothing listens, and of hubs that answer with
// errors.
func TestPackageHubThatFails(t *testing.T) {
	t.Parallel()
	answering := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body)) // the client may have gone
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	for name, test := range map[string]struct{ address, says string }{
		"nothing listens":     {"127.0.0.1:1", "refused"},
		"an error":            {answering(http.StatusInternalServerError, "out of order"), "500 Server Error"},
		"no permission":       {answering(http.StatusForbidden, ""), "403 Client Error"},
		"no JSON":             {answering(http.StatusOK, "<html>sign in first</html>"), "Expecting value"},
		"JSON of another API": {answering(http.StatusOK, `{"message": "hello"}`), "is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := hubProject(t, test.address)
			_, err := New(cfg, clock.System{}).PreviewDeps(t.Context(), Deps{})
			p := wantProblem(t, err, ErrPackages, "dbt can't resolve or fetch the packages", test.says,
				"can be reached")
			if strings.Contains(p.Why, "Traceback") || len(p.Why) > 1000 {
				t.Errorf("the reason is not for people: %s", p.Why)
			}
			if exists(filepath.Join(cfg.ProjectDir, "package-lock.yml")) {
				t.Error("the preview wrote a lock file")
			}
		})
	}
}

// TestPackageServersThatHang previews packages of a hub and of a git server that accept connections and never answer.
// dbt itself would wait for minutes, or forever.
func TestPackageServersThatHang(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(t *testing.T, address string) Config{
		"a hub": hubProject,
		"a git server": func(t *testing.T, address string) Config {
			t.Helper()
			cfg := shop(t)
			write(t, filepath.Join(cfg.ProjectDir, "packages.yml"),
				"packages:\n  - git: http://"+address+"/utils.git\n    revision: main\n")
			return cfg
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := silent(t)
			cfg := configure(t, address)
			cfg.PackagesTimeout = 8 * time.Second
			c := cli(t, cfg)
			_, err := c.PreviewDeps(t.Context(), Deps{})
			wantProblem(t, err, ErrTimeout, "can't be resolved in time", address, "within 8s",
				"Nothing has been changed")
			if left, err := filepath.Glob(filepath.Join(cfg.WorkDir, "scratch", "*")); err != nil || len(left) > 0 {
				t.Errorf("scratch folders are left: %v, %v", left, err)
			}

			// The same servers, for packages that an earlier step would install.
			lock := "packages:\n- name: dbt_utils\n  package: dbt-labs/dbt_utils\n  version: 1.0.0\nsha1_hash: x\n"
			if name == "a git server" {
				lock = "packages:\n- git: http://" + address + "/utils.git\n  name: utils\n  revision: main\nsha1_hash: x\n"
			}
			_, err = c.ListAfter(t.Context(), example, Resolved{Lock: lock})
			wantProblem(t, err, ErrNoCopy, "can't be resolved in time", address)
		})
	}
}

// TestHubOfTheEnvironmentIsChecked covers a hub that the configuration names: the runner's list of hosts must have it.
func TestHubOfTheEnvironmentIsChecked(t *testing.T) {
	t.Parallel()
	cfg := hubProject(t, "hub.example.com")
	asked := ""
	cfg.PackageHost = func(host, _ string) string {
		asked = host
		return "not listed"
	}
	_, err := cli(t, cfg).PreviewDeps(t.Context(), Deps{})
	wantProblem(t, err, ErrEnvironment, "not listed", "Nothing has been sent")
	if asked != "hub.example.com" {
		t.Errorf("asked for %q", asked)
	}
}
