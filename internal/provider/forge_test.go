package provider

import (
	"errors"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/forge"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

const (
	headCommit  = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	otherCommit = "ecdd80bb57125d7ba9641ffaa4d7d2c19d3f3091"
)

// around are surroundings of the variables given, with an event file of GitHub Actions.
// forgeOf returns the forge's settings in an environment.
func forgeOf(b block, env map[string]string) (*forge.Config, error) {
	s := around(env)
	return b.forge(s, runner{getenv: s.getenv})
}

func around(env map[string]string) surroundings {
	return surroundings{
		getenv: func(v string) string { return env[v] },
		open: func(path string) (io.ReadCloser, error) {
			if path != "event.json" {
				return nil, os.ErrNotExist
			}
			return io.NopCloser(strings.NewReader(`{"action":"opened","pull_request":{"number":12,"head":{"sha":"` +
				headCommit + `"}}}`)), nil
		},
	}
}

func TestForgeDefaults(t *testing.T) {
	t.Parallel()
	text := types.StringValue
	atlantis := map[string]string{"PULL_NUM": "12", "HEAD_COMMIT": headCommit, "BASE_REPO_OWNER": "acme",
		"BASE_REPO_NAME": "search", "REMEDIATION_FORGE_TOKEN": "from-env"}
	for name, tt := range map[string]struct {
		block forgeBlock
		env   map[string]string
		want  forge.Config
	}{
		"configured": {forgeBlock{Kind: text("gitea"), URL: text("https://git.example.com/api/v1"),
			Repository: text("a/b"), PullRequest: types.NumberValue(big.NewFloat(3)),
			Commit: text(otherCommit), Token: text("mine")}, atlantis,
			forge.Config{Kind: forge.Gitea, URL: "https://git.example.com/api/v1", Repository: "a/b", PullRequest: 3,
				Commit: otherCommit, Token: "mine"}},
		"Atlantis": {forgeBlock{Kind: text("github")}, atlantis,
			forge.Config{Kind: forge.GitHub, URL: "https://api.github.com", Repository: "acme/search", PullRequest: 12,
				Commit: headCommit, Token: "from-env"}},
		"GitHub Actions": {forgeBlock{Kind: text("github")},
			map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_API_URL": "https://ghe.example.com/api/v3",
				"GITHUB_REPOSITORY": "acme/search", "GITHUB_EVENT_PATH": "event.json", "GITHUB_SHA": otherCommit},
			forge.Config{Kind: forge.GitHub, URL: "https://ghe.example.com/api/v3", Repository: "acme/search",
				PullRequest: 12, Commit: headCommit}},
		"GitLab CI": {forgeBlock{Kind: text("gitlab")}, map[string]string{"GITLAB_CI": "true",
			"CI_API_V4_URL":                 "https://gitlab.example.com/api/v4",
			"CI_MERGE_REQUEST_PROJECT_PATH": "acme/data/search", "CI_MERGE_REQUEST_IID": "12",
			"CI_COMMIT_SHA": headCommit},
			forge.Config{Kind: forge.GitLab, URL: "https://gitlab.example.com/api/v4", Repository: "acme/data/search",
				PullRequest: 12, Commit: headCommit}},
		"GitLab CI, merged result": {forgeBlock{Kind: text("gitlab")},
			map[string]string{"GITLAB_CI": "true", "CI_MERGE_REQUEST_PROJECT_PATH": "acme/search",
				"CI_MERGE_REQUEST_IID": "12", "CI_COMMIT_SHA": otherCommit,
				"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": headCommit},
			forge.Config{Kind: forge.GitLab, URL: "https://gitlab.com/api/v4", Repository: "acme/search",
				PullRequest: 12, Commit: headCommit}},
	} {
		got, err := forgeOf(block{Approval: &approvalBlock{Forge: &tt.block}}, tt.env)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got, err := forgeOf(block{Approval: &approvalBlock{}}, atlantis); got != nil || err != nil {
		t.Errorf("a forge that nobody configured: %v, %v", got, err)
	}
	if newForge(nil, clock.System{}) != nil {
		t.Error("a forge that nobody configured is asked")
	}
}

func TestForgeIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	text := types.StringValue
	complete := map[string]string{"PULL_NUM": "12", "HEAD_COMMIT": headCommit, "BASE_REPO_OWNER": "acme",
		"BASE_REPO_NAME": "search"}
	for name, tt := range map[string]struct {
		block  forgeBlock
		change map[string]string
		at     string
	}{
		"no address": {forgeBlock{Kind: text("gitea")}, nil, "approval.forge.url"},
		"no web address": {forgeBlock{Kind: text("github"), URL: text("git@github.com")}, nil,
			"approval.forge.url"},
		"no repository": {forgeBlock{Kind: text("github")}, map[string]string{"BASE_REPO_NAME": ""},
			"approval.forge.repository"},
		"half a repository": {forgeBlock{Kind: text("github"), Repository: text("search")}, nil,
			"approval.forge.repository"},
		"a path": {forgeBlock{Kind: text("github"), Repository: text("a/b?x=/../")}, nil,
			"approval.forge.repository"},
		"a way up": {forgeBlock{Kind: text("github"), Repository: text("a/..")}, nil,
			"approval.forge.repository"},
		"no number": {forgeBlock{Kind: text("github")}, map[string]string{"PULL_NUM": "twelve"},
			"approval.forge.pull_request"},
		"no commit": {forgeBlock{Kind: text("github")}, map[string]string{"HEAD_COMMIT": ""},
			"approval.forge.commit"},
		"abbreviated commit": {forgeBlock{Kind: text("github"), Commit: text("6dcb09b")}, nil, "approval.forge.commit"},
		"an event that is none": {forgeBlock{Kind: text("github")},
			map[string]string{"PULL_NUM": "", "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "a/b",
				"GITHUB_EVENT_PATH": "nowhere.json", "GITHUB_SHA": otherCommit}, "approval.forge.pull_request"},
	} {
		env := map[string]string{}
		for _, from := range []map[string]string{complete, tt.change} {
			for k, v := range from {
				env[k] = v
			}
		}
		_, err := forgeOf(block{Approval: &approvalBlock{Forge: &tt.block}}, env)
		var p *problem.Problem
		if !errors.As(err, &p) || strings.Join(p.Path, ".") != tt.at || p.Next == "" {
			t.Errorf("%s: got %v, want one at %q", name, err, tt.at)
		}
	}
}
