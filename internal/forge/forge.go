// Package forge reads from GitHub, GitLab, or Gitea who approved a pull request at a commit. It never writes.
package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/web"
)

const (
	// pageSize is how many entries are requested per page. Gitea returns no more, and fifty of the longest reviews fit
	// into the largest answer that package web reads.
	pageSize = 50
	// maxPages bounds the length of a list; approvals in a longer list can't be evaluated.
	maxPages = 40
	// longest bounds one read, including the waits that the server asks for.
	longest = time.Minute
	// freshFor is how long an answer is reused for other resources of the same run. Otherwise a large plan would use up
	// the rate limit.
	freshFor = 5 * time.Second
)

// Errors from Read, for errors.Is.
var (
	// ErrUnreadable: the forge did not say who approved.
	ErrUnreadable = errors.New("the forge can't be read")
	// ErrOtherHead: the pull request's head is another commit than the configured one.
	ErrOtherHead = errors.New("the head is another commit")
	// ErrNotOpen: the pull request is a draft, was closed without a merge, or has open change requests.
	ErrNotOpen = errors.New("the pull request is not ready")
)

// Kind is a kind of forge.
type Kind string

// Kinds of forges. Forgejo has Gitea's API.
const (
	GitHub Kind = "github"
	GitLab Kind = "gitlab"
	Gitea  Kind = "gitea"
)

// Config identifies the pull request.
type Config struct {
	Kind Kind
	// URL is the base of the API, such as https://api.github.com.
	URL string
	// Repository is owner/name; in GitLab, groups may be nested.
	Repository  string
	PullRequest int64
	// Commit is the full identifier of the commit that runs.
	Commit string
	Token  string
}

// Place names the repository, without the pull request.
func (c Config) Place() string { return fmt.Sprintf("%s %s %s", c.Kind, c.URL, c.Repository) }

// Change names the pull request and the commit.
func (c Config) Change() string {
	return fmt.Sprintf("%s pull request %d at commit %s", c.Repository, c.PullRequest, c.Commit)
}

// Reader reads who approved a pull request.
type Reader interface {
	// Read returns who approved the configured commit and who wrote it. Errors are *problem.Problem and wrap
	// ErrUnreadable, ErrOtherHead or ErrNotOpen.
	Read(ctx context.Context) (Reviewed, error)
}

// Reviewed is the review of a pull request at its head.
type Reviewed struct {
	// Approvers are the logins of people whose approval is valid: it was not withdrawn or dismissed, and their login is
	// not in Authors. Bots are left out.
	Approvers []string
	// Authors are the logins and mail addresses of those who opened the pull request, or are an author or a co-author
	// (Co-authored-by) of one of its commits. GitLab's commits and all co-authors have only addresses.
	Authors []string
}

// New returns the reader for the kind of forge, or nil if the kind is unknown. It does no I/O.
func New(cfg Config, clk clock.Clock) Reader {
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	c := &client{cfg: cfg}
	switch cfg.Kind {
	case GitHub:
		c.web = web.New(cfg.Token)
		return &memory{read: github{c}.review, clock: clk}
	case GitLab:
		c.web = web.NewWith("PRIVATE-TOKEN", "", cfg.Token)
		return &memory{read: gitlab{c}.review, clock: clk}
	case Gitea:
		c.web = web.NewWith("Authorization", "token ", cfg.Token)
		return &memory{read: gitea{c}.review, clock: clk}
	}
	return nil
}

// memory keeps an answer for freshFor. Concurrent reads wait for one another.
type memory struct {
	read  func(context.Context) (Reviewed, error)
	clock clock.Clock

	mu   sync.Mutex
	at   time.Time
	last Reviewed
	err  error
}

// Read implements Reader.
func (m *memory) Read(ctx context.Context) (Reviewed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age := m.clock.Now().Sub(m.at); !m.at.IsZero() && age >= 0 && age < freshFor {
		return m.last, m.err
	}
	bounded, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	found, err := m.read(bounded)
	if ctx.Err() != nil {
		return Reviewed{}, err // the end of this caller's context is not an answer for others
	}
	m.at, m.last, m.err = m.clock.Now(), found, err
	return found, err
}

// client reads one pull request over the forge's API.
type client struct {
	cfg Config
	web *web.Client
}

// get decodes the JSON document at a path below the API's base.
func (c *client) get(ctx context.Context, path string, into any) error {
	answer, err := c.web.Do(ctx, web.Request{Method: http.MethodGet, URL: c.cfg.URL + path})
	switch {
	case err != nil:
		return c.unreadable(err.Error())
	case answer.Status != http.StatusOK:
		// The answer itself is not quoted: the address may belong to another service.
		return c.unreadable(fmt.Sprintf("GET %s: status %d %s", path, answer.Status, http.StatusText(answer.Status)))
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return c.unreadable(fmt.Sprintf("GET %s: the answer does not match the API's documentation, or is too long",
			path))
	}
	return nil
}

// list reads all pages of a list. It stops at the first empty page, because servers may return fewer entries per page
// than requested.
func list[T any](ctx context.Context, c *client, path, sizeParameter string) ([]T, error) {
	var all []T
	for page := 1; page <= maxPages; page++ {
		var entries []T
		query := url.Values{sizeParameter: {strconv.Itoa(pageSize)}, "page": {strconv.Itoa(page)}}
		if err := c.get(ctx, path+"?"+query.Encode(), &entries); err != nil {
			return nil, err
		}
		if len(entries) == 0 {
			return all, nil
		}
		all = append(all, entries...)
	}
	return nil, c.unreadable(fmt.Sprintf("GET %s: the list has more than %d pages", path, maxPages))
}

func (c *client) unreadable(why string) error {
	return &problem.Problem{
		What: "The forge can't be read", Why: why,
		Next: "Check that approval.forge names the pull request, and that its token may read it.",
		Path: []string{"approval", "forge"}, Err: ErrUnreadable,
	}
}

// notReady refuses a pull request whose approvals don't count, regardless of who gave them.
func (c *client) notReady(why, next string) error {
	return &problem.Problem{
		What: "The pull request is not ready", Why: fmt.Sprintf("%s pull request %d %s.", c.cfg.Repository,
			c.cfg.PullRequest, why), Next: next, Path: []string{"approval", "forge"}, Err: ErrNotOpen,
	}
}

// checkHead refuses a pull request whose head is not the configured commit.
func (c *client) checkHead(head string) error {
	if head != "" && strings.EqualFold(head, c.cfg.Commit) {
		return nil
	}
	return &problem.Problem{
		What: "The head of the pull request is a different commit",
		Why: fmt.Sprintf("The head of %s pull request %d is %q, and what runs is %s.", c.cfg.Repository,
			c.cfg.PullRequest, head, c.cfg.Commit),
		Next: "Run the newest commit, and have it approved.",
		Path: []string{"approval", "forge", "commit"}, Err: ErrOtherHead,
	}
}

// repository returns the configured repository, escaped for a path.
func (c *client) repository() string {
	parts := strings.Split(c.cfg.Repository, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}
