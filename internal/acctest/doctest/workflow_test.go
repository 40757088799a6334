package doctest_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// job is one job of a pipeline, as a script.
type job func(dir string) (string, error)

// pipeline tests a plan job and an apply job. An apply that nobody approved is refused. It runs when the pipeline runs
// again after the approval. If two pull requests were planned on the same split, the second one is refused. Each plan
// updates the same comment.
func pipeline(t *testing.T, r runner, forge *pullRequest, plan, apply job) {
	t.Helper()
	planned := func(b branch, change string) string {
		dir := b.clone()
		if out, err := plan(dir); err != nil {
			t.Fatalf("plan: %v\n%s", err, out)
		}
		if text := forge.only(t); !strings.Contains(text, change) {
			t.Errorf("the comment doesn't say %q:\n%s", change, text)
		}
		return dir
	}
	applied := func(b branch, from string) (string, error) {
		dir := b.clone()
		r.artifacts(from, dir)
		return apply(dir)
	}
	first, second := r.branch(25), r.branch(30)
	out, err := applied(first, planned(first, "v2 25"))
	if err == nil || !strings.Contains(out, "needs an approval") {
		t.Errorf("an apply that nobody approved: %v\n%s", err, out)
	}
	forge.approve()
	theirs, ours := planned(second, "v2 30"), planned(first, "v2 25")
	if out, err := applied(first, ours); err != nil || !strings.Contains(out, "1 added") {
		t.Errorf("an approved apply: %v\n%s", err, out)
	}
	if out, err := applied(second, theirs); err == nil || !strings.Contains(out, "changed since it was reviewed") {
		t.Errorf("an apply of a plan that no longer holds: %v\n%s", err, out)
	}
	if share := r.api.Now()["v2"].Percent; share != 25 {
		t.Errorf("v2 has %g%% of the traffic", share)
	}
}

// expression is an expression of GitHub Actions.
var expression = regexp.MustCompile(`\$\{\{ *([^ }]+) *\}\}`)

type action struct {
	Env  map[string]string
	Jobs map[string]struct {
		Env   map[string]string
		Steps []struct {
			Name, Run string
			Env       map[string]string
		}
	}
}

// TestAccGitHubActions runs the steps of the workflow for GitHub Actions.
func TestAccGitHubActions(t *testing.T) {
	t.Parallel()
	var file action
	workflow(t, "ci/github-actions.yml", &file)
	server, forge := elastictest.Shared(t), newPullRequest(t)
	event := filepath.Join(t.TempDir(), "event.json")
	r := newRunner(t, "GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=example/shop", "GITHUB_ACTOR=author",
		"GITHUB_API_URL="+forge.URL, "GITHUB_EVENT_PATH="+event)
	text, err := json.Marshal(map[string]any{"pull_request": map[string]any{
		"number": 7, "head": map[string]any{"sha": head}}})
	if err != nil {
		t.Fatal(err)
	}
	r.write(event, string(text))
	journal := "REMEDIATION_JOURNAL_INDEX=" + server.Name(t, "ci")
	values := map[string]string{
		"vars.ELASTICSEARCH_ENDPOINTS": server.URL(), "secrets.ELASTICSEARCH_API_KEY": "", "vars.REMEDIATION_PLANNER_URL": "",
		"secrets.REMEDIATION_PLANNER_TOKEN": "", "github.token": "a-token-of-the-job",
		"github.event.pull_request.number": "7",
	}
	resolved := func(env map[string]string) (list []string) {
		for name, value := range env {
			value = expression.ReplaceAllStringFunc(value, func(e string) string {
				v, ok := values[expression.FindStringSubmatch(e)[1]]
				if !ok {
					t.Errorf("%s: %s is not known here", name, e)
				}
				return v
			})
			if value != "" { // a secret that isn't set
				list = append(list, name+"="+value)
			}
		}
		return list
	}
	run := func(name string) job {
		return func(dir string) (string, error) {
			var all strings.Builder
			for _, step := range file.Jobs[name].Steps {
				if step.Run == "" {
					continue
				}
				env := append(resolved(file.Env), resolved(file.Jobs[name].Env)...)
				env = append(append(env, resolved(step.Env)...), journal)
				out, err := r.run(filepath.Join(dir, "remediation"), step.Run, env...)
				all.WriteString(out)
				if err != nil {
					return all.String(), fmt.Errorf("%s: %w", step.Name, err)
				}
			}
			return all.String(), nil
		}
	}
	pipeline(t, r, forge, run("plan"), run("apply"))
}

// TestAccGitLabCI runs the scripts of the pipeline for GitLab CI.
func TestAccGitLabCI(t *testing.T) {
	t.Parallel()
	var file struct {
		Variables map[string]string
		Plan      struct{ Script []string }
		Apply     struct{ Script []string }
	}
	workflow(t, "ci/gitlab-ci.yml", &file)
	server, forge := elastictest.Shared(t), newPullRequest(t)
	r := newRunner(t, "GITLAB_CI=true", "CI_API_V4_URL="+forge.URL, "CI_MERGE_REQUEST_PROJECT_PATH=example/shop",
		"CI_MERGE_REQUEST_PROJECT_ID=12", "CI_MERGE_REQUEST_IID=7", "CI_COMMIT_SHA="+head, "GITLAB_USER_LOGIN=author",
		"ELASTICSEARCH_ENDPOINTS="+server.URL(), "REMEDIATION_FORGE_TOKEN=a-token-that-reads", "COMMENT_TOKEN=a-token-that-writes")
	for name, value := range file.Variables {
		r.env = append(r.env, name+"="+value)
	}
	r.env = append(r.env, "REMEDIATION_JOURNAL_INDEX="+server.Name(t, "ci"))
	run := func(script []string) job {
		return func(dir string) (string, error) { return r.run(dir, strings.Join(script, "\n")) }
	}
	pipeline(t, r, forge, run(file.Plan.Script), run(file.Apply.Script))
}

// TestAccAtlantis runs the steps of the workflow as Atlantis does: env steps see the variables of the pull request, and
// built-in steps see only what env steps set.
func TestAccAtlantis(t *testing.T) {
	t.Parallel()
	type step struct {
		Name, Command, Value string
	}
	var file struct {
		Workflows map[string]map[string]struct {
			Steps []yaml.Node
		}
	}
	workflow(t, "atlantis/repos.yaml", &file)
	forge := newPullRequest(t)
	r := newRunner(t, "ATLANTIS_TERRAFORM_VERSION=1.11.0", "REMEDIATION_FORGE_TOKEN=a-token-that-reads",
		"REMEDIATION_HOSTS=127.0.0.1", "FORGE_API="+forge.URL, "FORGE_TOKEN=a-token-that-writes")
	comment := filepath.Join(acctest.Root(t), "examples", "atlantis", "comment.sh")
	custom := []string{"PLANFILE=default.tfplan", "PULL_AUTHOR=author", "PULL_NUM=7", "HEAD_COMMIT=" + head,
		"BASE_REPO_OWNER=example", "BASE_REPO_NAME=shop"}
	builtin := map[string]string{
		"init":  "terraform init -input=false -no-color -upgrade",
		"plan":  "terraform plan -input=false -refresh -no-color -out default.tfplan",
		"apply": "terraform apply -input=false -no-color default.tfplan",
	}
	journal := filepath.Join(t.TempDir(), "journal.db")
	run := func(dir, stage string) (string, error) {
		var env []string
		var all strings.Builder
		for _, node := range file.Workflows["remediation"][stage].Steps {
			var name string
			if node.Decode(&name) == nil {
				out, err := r.run(dir, builtin[name], env...)
				all.WriteString(out)
				if err != nil {
					return all.String(), err
				}
				continue
			}
			var set struct {
				Env step
				Run string
			}
			if node.Decode(&set) == nil && set.Run != "" {
				script := strings.ReplaceAll(set.Run, "/etc/atlantis/comment.sh", comment)
				out, err := r.run(dir, script, append(env, custom...)...)
				all.WriteString(out)
				if err != nil {
					return all.String(), err
				}
				continue
			}
			if err := node.Decode(&set); err != nil || set.Env.Name == "" {
				t.Fatalf("a step that this test doesn't know: %v, %v", node.Value, err)
			}
			value := strings.ReplaceAll(set.Env.Value, "/var/lib/remediation/journal.db", journal)
			if set.Env.Command != "" {
				value = strings.TrimSpace(r.must(dir, set.Env.Command, custom...))
			}
			env = append(env, set.Env.Name+"="+value)
		}
		return all.String(), nil
	}
	cloned := func(percent int) string {
		b := r.branch(percent)
		b.text = strings.Replace(b.text, "kind = var.forge", "kind = var.forge\n      url  = \""+forge.URL+"\"", 1)
		return filepath.Join(b.clone(), "remediation")
	}
	dir := cloned(25)
	out, err := run(dir, "plan")
	if err != nil || !strings.Contains(out, "v2 25") {
		t.Fatalf("plan: %v\n%s", err, out)
	}
	_, plain, _ := strings.Cut(out, "Remediation: 1 execution")
	if !strings.Contains(plain, "What      Traffic of v2: 10% to 25%") {
		t.Errorf("the output of the plan lacks the review:\n%s", out)
	}
	for _, want := range []string{"Traffic of v2: 10% to 25%", "approve this pull request at its head commit"} {
		if text := forge.only(t); !strings.Contains(text, want) {
			t.Errorf("the comment doesn't say %q:\n%s", want, text)
		}
	}
	if out, err := run(dir, "apply"); err == nil || !strings.Contains(out, "needs an approval") {
		t.Errorf("an apply that nobody approved: %v\n%s", err, out)
	}
	forge.approve()
	if out, err := run(dir, "plan"); err != nil {
		t.Fatalf("plan after the approval: %v\n%s", err, out)
	}
	forge.only(t)
	other := cloned(30) // of another pull request on the same target
	if out, err := run(other, "plan"); err != nil {
		t.Fatalf("plan of another pull request: %v\n%s", err, out)
	}
	if out, err := run(dir, "apply"); err != nil || !strings.Contains(out, "1 added") {
		t.Errorf("an approved apply: %v\n%s", err, out)
	}
	if out, err := run(other, "apply"); err == nil || !strings.Contains(out, "changed since it was reviewed") {
		t.Errorf("an apply of a plan that no longer holds: %v\n%s", err, out)
	}
	if share := r.api.Now()["v2"].Percent; share != 25 {
		t.Errorf("v2 has %g%% of the traffic", share)
	}
}
