//go:build gitea

package giteatest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

// Environment variables that tools/test-gitea.sh sets: the program, and the folder of its templates.
const (
	envProgram = "REMEDIATION_TEST_GITEA"
	envStatic  = "REMEDIATION_TEST_GITEA_STATIC"
)

const (
	owner, repository = "author", "shop"
	requestTimeout    = 30 * time.Second
)

// forge is a running Gitea with one user, one repository, and one pull request.
type forge struct {
	t          *testing.T
	url, token string
	// pull is the number of the pull request.
	pull int
}

func start(t *testing.T) *forge {
	t.Helper()
	program, static := os.Getenv(envProgram), os.Getenv(envStatic)
	if program == "" || static == "" {
		t.Fatalf("set %s and %s, or run make test-gitea", envProgram, envStatic)
	}
	dir, address := t.TempDir(), spawn.Address(t)
	f := &forge{t: t, url: "http://" + address}
	host, port, _ := strings.Cut(address, ":")
	config := filepath.Join(dir, "app.ini")
	settings := fmt.Sprintf(`RUN_USER = %s
WORK_PATH = %[2]s
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = %[3]s
HTTP_PORT = %[4]s
ROOT_URL = %[5]s/
STATIC_ROOT_PATH = %[6]s
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = %[2]s/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = %[7]s
[oauth2]
JWT_SECRET = %[8]s
[log]
LEVEL = Warn
`, user(t), dir, host, port, f.url, static, rand.Text(), strings.Repeat("A", 43))
	if err := os.WriteFile(config, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	gitea := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), program, append(args, "--config", config)...)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gitea %v: %v %s", args, err, out)
		}
		words := strings.Fields(string(out)) // the answer comes after warnings
		if len(words) == 0 {
			return ""
		}
		return words[len(words)-1]
	}
	gitea("migrate")
	gitea("admin", "user", "create", "--admin", "--username", owner, "--password", rand.Text(), "--email",
		"author@example.com", "--must-change-password=false")
	f.token = gitea("admin", "user", "generate-access-token", "--username", owner, "--scopes", "all", "--raw")
	up := func() bool { return f.try(http.MethodGet, "/version", nil, nil) == nil }
	t.Setenv("HOME", dir)
	spawn.Start(t, up, program, "web", "--config", config)
	f.request()
	return f
}

func user(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// request opens a pull request.
func (f *forge) request() {
	f.t.Helper()
	f.call(http.MethodPost, "/user/repos", map[string]any{"name": repository, "auto_init": true,
		"default_branch": "main"}, nil)
	f.call(http.MethodPost, f.path("/contents/main.tf"), map[string]any{"content": "IyBhIGNoYW5nZQo=",
		"new_branch": "change", "message": "Move the split"}, nil)
	var made struct{ Number int }
	f.call(http.MethodPost, f.path("/pulls"), map[string]any{"title": "Move the split", "base": "main",
		"head": "change"}, &made)
	f.pull = made.Number
}

func (f *forge) path(path string) string { return "/repos/" + owner + "/" + repository + path }

// call calls the API and must succeed.
func (f *forge) call(method, path string, body, out any) {
	f.t.Helper()
	if err := f.try(method, path, body, out); err != nil {
		f.t.Fatal(err)
	}
}

func (f *forge) try(method, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	status, answer, err := f.send(method, "/api/v1"+path, text)
	if err == nil && status >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %d %s", method, path, status, answer)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(answer, out)
	}
	return err
}

func (f *forge) send(method, path string, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(f.t.Context(), requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "token "+f.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	var all bytes.Buffer
	_, err = all.ReadFrom(resp.Body)
	return resp.StatusCode, all.Bytes(), err
}

// comments returns the comments of the pull request, as Markdown.
func (f *forge) comments() []string {
	f.t.Helper()
	var all []struct{ Body string }
	f.call(http.MethodGet, f.path(fmt.Sprintf("/issues/%d/comments", f.pull)), nil, &all)
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = c.Body
	}
	return texts
}

// rendered returns a comment as Gitea renders it in the repository.
func (f *forge) rendered(markdown string) string {
	f.t.Helper()
	body, err := json.Marshal(map[string]any{"Text": markdown, "Mode": "comment", "Context": owner + "/" + repository})
	if err != nil {
		f.t.Fatal(err)
	}
	status, html, err := f.send(http.MethodPost, "/api/v1/markdown", body)
	if err != nil || status != http.StatusOK {
		f.t.Fatalf("%d, %v: %s", status, err, html)
	}
	return string(html)
}

// checkout is a clone in which a pull request is planned, as Atlantis runs its steps.
type checkout struct {
	*acctest.Workspace
	f   *forge
	bin string
}

func newCheckout(t *testing.T, f *forge) checkout {
	t.Helper()
	c := checkout{Workspace: acctest.NewWorkspace(t), f: f, bin: t.TempDir()}
	provider := filepath.Join(acctest.Provider(t), "terraform-provider-remediation")
	folder := filepath.Join(c.Dir, ".terraform", "providers")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		filepath.Join(folder, "terraform-provider-remediation_dev"): provider,
		filepath.Join(c.bin, "terraform"):                           acctest.TerraformPath(t),
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	c.Write("planner.json", `{"revision": 1, "stable": "v1",
		"versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`)
	return c
}

// plan plans a split, and posts its review with the script for Atlantis.
func (c checkout) plan(name, percent string) {
	c.f.t.Helper()
	c.Write("main.tf", fmt.Sprintf(`terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}

provider "remediation" {
  planner {
    file { path = "planner.json" }
  }
  approval { approvers = ["*@example.com"] }
}

resource "remediation_canary_split" "canary" {
  for_each       = toset([%s])
  incident_id    = "INC-7"
  version        = "v2"
  target_percent = %s
}
`, name, percent))
	c.Must("plan", "-no-color", "-out=saved")
	script := filepath.Join(acctest.Root(c.f.t), "examples", "atlantis", "comment.sh")
	cmd := exec.CommandContext(c.f.t.Context(), "bash", script)
	cmd.Dir = c.Dir
	cmd.Env = append(c.Command(c.f.t.Context()).Env, "PLANFILE=saved", fmt.Sprintf("PULL_NUM=%d", c.f.pull),
		"BASE_REPO_OWNER="+owner, "BASE_REPO_NAME="+repository, "FORGE_API="+c.f.url+"/api/v1",
		"FORGE_TOKEN="+c.f.token,
		"PATH="+c.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		c.f.t.Fatalf("%v\n%s", err, out)
	}
}

// TestAccReviewInGitea posts a review, reads it as Gitea renders it, and updates it.
func TestAccReviewInGitea(t *testing.T) { //nolint:paralleltest // it sets HOME
	f := start(t)
	c := newCheckout(t, f)
	c.plan(`"search"`, "25")
	all := f.comments()
	if len(all) != 1 {
		t.Fatalf("%d comments: %q", len(all), all)
	}
	html := f.rendered(all[0])
	const most = 10
	lines := acctest.Visible(html)
	first := strings.Join(lines[:min(most, len(lines))], "\n")
	t.Logf("the first lines:\n%s", first)
	for _, want := range []string{`remediation_canary_split.canary["search"]`, "planner:file:" + c.Dir, "medium",
		"Traffic of v2: 10% to 25%", "MISSING, from *@example.com",
		"sign it with the command approve, or set approved_by",
		"terraform-provider-remediation approve "} {
		if !strings.Contains(first, want) {
			t.Errorf("the first lines lack %q:\n%s", want, first)
		}
	}
	for _, want := range []string{"<details><summary>", "<table>", "Undo        back to the original percent"} {
		if !strings.Contains(html, want) {
			t.Errorf("it is not rendered, %q is missing:\n%s", want, html)
		}
	}
	c.plan(`"search"`, "40")
	if all := f.comments(); len(all) != 1 || !strings.Contains(all[0], "10% to 40%") {
		t.Errorf("%d comments after an update: %q", len(all), all)
	}
}

// TestAccHostileNamesInGitea plans resources whose keys would break out of Markdown, HTML, and mentions.
func TestAccHostileNamesInGitea(t *testing.T) { //nolint:paralleltest // it sets HOME
	f := start(t)
	c := newCheckout(t, f)
	const bomb = "`|</td></table><script>alert(1)</script><img src=x onerror=alert(1)> @author #1 " +
		"[x](https://evil.example) ![y](https://evil.example/y.png) </details>"
	quoted, err := json.Marshal(bomb)
	if err != nil {
		t.Fatal(err)
	}
	c.plan(string(quoted), "25")
	html := f.rendered(f.comments()[0])
	for _, no := range []string{"<script", "<img", "onerror=\"", "href=\"https://evil", "class=\"mention\"",
		"class=\"ref-issue\"", `href="/author"`} {
		if strings.Contains(html, no) {
			t.Errorf("%q was rendered:\n%s", no, html)
		}
	}
	if n := strings.Count(html, "<details>"); n != 1 || strings.Count(html, "</details>") != n ||
		strings.Count(html, "<table>") != 1 {
		t.Errorf("the comment breaks apart:\n%s", html)
	}
	if lines := strings.Join(acctest.Visible(html), "\n"); !strings.Contains(lines, "Traffic of v2: 10% to 25%") ||
		!strings.Contains(lines, "MISSING") {
		t.Errorf("the row is lost:\n%s", lines)
	}
}
