package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/forge"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// maxEvent is the largest part of GitHub Actions' event file that is read, in bytes. GitHub limits payloads to this
// size.
const maxEvent = 25 << 20

// maxPullRequest bounds the number of a pull request.
const maxPullRequest = 1_000_000_000

// A commit needs its full identifier: an abbreviation can become ambiguous.
var (
	commitPattern     = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)
	repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$`)
)

type forgeBlock struct {
	Kind        types.String `tfsdk:"kind"`
	URL         types.String `tfsdk:"url"`
	Repository  types.String `tfsdk:"repository"`
	PullRequest types.Number `tfsdk:"pull_request"`
	Commit      types.String `tfsdk:"commit"`
	Token       types.String `tfsdk:"token"`
}

func forgeSchema() schema.Block {
	return schema.SingleNestedBlock{
		Validators: []validator.Object{tfkit.Needs("kind")},
		MarkdownDescription: "The forge where the change is reviewed. An approval then counts only if its approver " +
			"also approved the latest commit of the pull request there and is not the pull request's author. Set " +
			"`aliases` where a login in the forge differs from the name in `approved_by`. If the forge can't be read, " +
			"no execution that needs an approval runs.",
		Attributes: map[string]schema.Attribute{
			"kind": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Required. `github`, `gitlab`, or `gitea` (also for Forgejo).",
				Validators: []validator.String{stringvalidator.OneOf(string(forge.GitHub), string(forge.GitLab),
					string(forge.Gitea))}},
			"url": optionalString("Base URL of the API. Default: `GITHUB_API_URL` in GitHub Actions, `CI_API_V4_URL` " +
				"in GitLab CI, otherwise `https://api.github.com` or " +
				"`https://gitlab.com/api/v4`. For Gitea, for example `https://gitea.example.com/api/v1`."),
			"repository": optionalString("Repository, as `owner/name`. Default: from the environment, " +
				"`BASE_REPO_OWNER` and `BASE_REPO_NAME` (Atlantis), " +
				"`GITHUB_REPOSITORY` (GitHub Actions), `CI_MERGE_REQUEST_PROJECT_PATH` (GitLab CI)."),
			"pull_request": schema.NumberAttribute{Optional: true,
				Validators: []validator.Number{tfkit.Whole(1, maxPullRequest)},
				MarkdownDescription: "Number of the pull request. Default: `PULL_NUM` (Atlantis), the number in the " +
					"event file (GitHub Actions), `CI_MERGE_REQUEST_IID` (GitLab CI)."},
			"commit": optionalString("Full identifier of the commit that runs. It must be the head of the pull " +
				"request. Default: `HEAD_COMMIT` (Atlantis), the head of the pull request in the event file " +
				"(GitHub Actions), `CI_MERGE_REQUEST_SOURCE_BRANCH_SHA` or `CI_COMMIT_SHA` (GitLab CI)."),
			"token": secret("Token with read access to pull requests. Environment: `REMEDIATION_FORGE_TOKEN`."),
		},
	}
}

// surroundings provides the CI system's environment and files, from which the forge's settings get their defaults.
type surroundings struct {
	getenv func(string) string
	open   func(string) (io.ReadCloser, error)
}

func system() surroundings {
	//nolint:gosec // the path is the CI system's
	return surroundings{getenv: os.Getenv, open: func(path string) (io.ReadCloser, error) { return os.Open(path) }}
}

// pullRequest is the pull request as the first CI system that is found describes it. Missing values are empty.
type pullRequest struct{ url, repository, number, commit string }

func (s surroundings) pullRequest() pullRequest {
	switch {
	case s.getenv("PULL_NUM") != "":
		r := pullRequest{number: s.getenv("PULL_NUM"), commit: s.getenv("HEAD_COMMIT")}
		if owner, name := s.getenv("BASE_REPO_OWNER"), s.getenv("BASE_REPO_NAME"); owner != "" && name != "" {
			r.repository = owner + "/" + name
		}
		return r
	case s.getenv("GITHUB_ACTIONS") != "":
		r := pullRequest{url: s.getenv("GITHUB_API_URL"), repository: s.getenv("GITHUB_REPOSITORY")}
		r.number, r.commit = s.event(s.getenv("GITHUB_EVENT_PATH"))
		return r
	case s.getenv("GITLAB_CI") != "":
		r := pullRequest{url: s.getenv("CI_API_V4_URL"), repository: s.getenv("CI_MERGE_REQUEST_PROJECT_PATH"),
			number: s.getenv("CI_MERGE_REQUEST_IID")}
		// In a merged results pipeline, CI_COMMIT_SHA is a merge commit that nobody reviewed. The first variable is set
		// only there.
		if r.commit = s.getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"); r.commit == "" {
			r.commit = s.getenv("CI_COMMIT_SHA")
		}
		return r
	}
	return pullRequest{}
}

// event reads the pull request from GitHub Actions' event file, because GITHUB_SHA is a merge commit that nobody
// reviewed. If it can't be read, the values are empty and the caller reports them as missing.
func (s surroundings) event(path string) (number, commit string) {
	if path == "" {
		return "", ""
	}
	file, err := s.open(path)
	if err != nil {
		return "", ""
	}
	defer file.Close()
	var event struct {
		PullRequest struct {
			Number int64 `json:"number"`
			Head   struct {
				SHA string `json:"sha"`
			} `json:"head"`
		} `json:"pull_request"`
	}
	if err := json.NewDecoder(io.LimitReader(file, maxEvent)).Decode(&event); err != nil ||
		event.PullRequest.Number == 0 {
		return "", ""
	}
	return strconv.FormatInt(event.PullRequest.Number, 10), event.PullRequest.Head.SHA
}

// forge returns the settings of the forge, or nil if none is configured. A missing setting is an error: nobody could
// approve anything without it.
func (b block) forge(s surroundings, r runner) (*forge.Config, error) {
	if b.Approval == nil || b.Approval.Forge == nil {
		return nil, nil
	}
	f, found := b.Approval.Forge, s.pullRequest()
	cfg := forge.Config{
		Kind: forge.Kind(f.Kind.ValueString()), URL: f.URL.ValueString(), Repository: f.Repository.ValueString(),
		PullRequest: whole(f.PullRequest),
		Commit:      f.Commit.ValueString(), Token: f.Token.ValueString(),
	}
	public := map[forge.Kind]string{forge.GitHub: "https://api.github.com",
		forge.GitLab: "https://gitlab.com/api/v4"}[cfg.Kind]
	orElse(&cfg.URL, found.url, public)
	orElse(&cfg.Repository, found.repository)
	orElse(&cfg.Commit, found.commit)
	orElse(&cfg.Token, s.getenv("REMEDIATION_FORGE_TOKEN"))
	if number, err := strconv.ParseInt(found.number, 10, 64); cfg.PullRequest == 0 && err == nil {
		cfg.PullRequest = number
	}
	const next = "Set it, or run where Atlantis, GitHub Actions or GitLab CI handle a pull request."
	if err := errors.Join(checkURL("approval.forge.url", cfg.URL),
		checkToken("approval.forge.token", cfg.Token)); err != nil {
		return nil, err
	}
	if err := r.open("approval.forge.url", cfg.URL); err != nil {
		return nil, err
	}
	policys := r.approval != nil && r.approval.Forge != nil
	if f.Token.ValueString() == "" && !policys {
		to := destination{"approval.forge.url", f.URL.ValueString(), forgeURLVariable(s.getenv)}
		if err := r.entrust(to, "REMEDIATION_FORGE_TOKEN"); err != nil {
			return nil, err
		}
	}
	switch {
	case !repositoryPattern.MatchString(cfg.Repository) || strings.Contains(cfg.Repository+"/", "../"):
		return nil, problemAt("approval.forge.repository", "The forge's repository is missing or invalid",
			fmt.Sprintf("%q is not like owner/name.", cfg.Repository), next)
	case cfg.PullRequest < 1:
		return nil, problemAt("approval.forge.pull_request", "The number of the pull request is missing",
			"Neither the configuration nor the environment names it.", next)
	case !commitPattern.MatchString(cfg.Commit):
		return nil, problemAt("approval.forge.commit", "The commit is missing or invalid",
			fmt.Sprintf("%q is not a full commit hash.", cfg.Commit), next)
	}
	return &cfg, nil
}

// orElse sets an empty string to the first of the others that is not empty.
func orElse(into *string, others ...string) {
	for _, other := range others {
		if *into == "" {
			*into = other
		}
	}
}

// forgeReader adapts a forge to the engine.
type forgeReader struct {
	reader forge.Reader
	change string
}

// newForge returns the forge that the engine asks, or nil if none is configured.
func newForge(cfg *forge.Config, clk clock.Clock) engine.Forge {
	if cfg == nil {
		return nil
	}
	return forgeReader{reader: forge.New(*cfg, clk), change: cfg.Change()}
}

// Confirmed implements engine.Forge.
func (f forgeReader) Confirmed(ctx context.Context) approval.Confirmed {
	found, err := f.reader.Read(ctx)
	if err != nil {
		return approval.Confirmed{Change: f.change, Problem: err.Error()}
	}
	return approval.Confirmed{Change: f.change, By: found.Approvers, Authors: found.Authors}
}

// forgeURLVariable returns the name of the environment variable with the address of the CI system's API.
func forgeURLVariable(getenv func(string) string) string {
	if getenv("GITLAB_CI") != "" {
		return "CI_API_V4_URL"
	}
	return "GITHUB_API_URL"
}
