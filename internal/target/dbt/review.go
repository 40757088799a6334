package dbt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// selecting is a selection as dbt's NodeSelector takes it.
type selecting struct {
	Select  []string `json:"select"`
	Exclude []string `json:"exclude,omitempty"`
}

// reviewed is the helper's answer to a review.
type reviewed struct {
	Parsed bool `json:"parsed"`
	About  struct {
		Versions struct {
			DBT string `json:"dbt"`
		} `json:"versions"`
		Connection map[string]string `json:"connection"`
		Identity   map[string]string `json:"identity"`
		Threads    int               `json:"threads"`
		RunHooks   []struct {
			SQL string `json:"sql"`
		} `json:"run_hooks"`
		Names [][2]string `json:"names"`
	} `json:"about"`
	Selections []struct {
		Unmatched struct {
			Select  []string `json:"select"`
			Exclude []string `json:"exclude"`
		} `json:"unmatched"`
		Models     []reviewedModel     `json:"models"`
		Passive    int                 `json:"passive"`
		PassedOver map[string][]string `json:"passed_over"`
		Content    json.RawMessage     `json:"content"`
		Downstream []string            `json:"downstream"`
		Exposures  []string            `json:"exposures"`
	} `json:"selections"`
}

type reviewedModel struct {
	Model
	Config struct {
		Materialized string `json:"materialized"`
		FullRefresh  *bool  `json:"full_refresh"`
		Strategy     string `json:"incremental_strategy"`
		UniqueKey    any    `json:"unique_key"`
		SchemaChange string `json:"on_schema_change"`
		BatchSize    string `json:"batch_size"`
	} `json:"config"`
}

// review asks the helper what s would run.
func (c *CLI) review(ctx context.Context, s Selection, state string) (Listing, error) {
	var answer reviewed
	parse := ""
	err := c.helper.ask(ctx, func(scratch string) (question, error) {
		target, cached, err := c.parseFolder(scratch, s)
		if err != nil {
			return question{}, err
		}
		parse = cached
		argv := append([]string{"run", "--target-path", target}, c.common(s)...)
		if s.FullRefresh {
			argv = append(argv, "--full-refresh")
		}
		return question{Op: "review", Argv: argv, State: state, Selections: []selecting{s.selecting()}}, nil
	}, &answer)
	if err != nil {
		return Listing{}, c.reviewProblem(err)
	}
	logging.Debug(ctx, logging.DBT, "selection reviewed", "parsed", answer.Parsed, "select", s.selecting().Select)
	if len(answer.Selections) != 1 {
		return Listing{}, c.unreadable(errors.New("the helper answered no selection"))
	}
	if answer.Parsed {
		c.keepHelperParse(parse)
	}
	return c.reviewListing(s, answer)
}

// parseFolder makes a target folder for parsing s below scratch, with dbt's saved parse where there is a sealed one, and
// says where to keep the new one.
func (c *CLI) parseFolder(scratch string, s Selection) (target, cached string, err error) {
	cached, err = c.parsePath(s)
	if err != nil {
		return "", "", err
	}
	target = filepath.Join(scratch, strings.TrimSuffix(filepath.Base(cached), ".msgpack"))
	const ownerOnly = 0o700
	if err := os.MkdirAll(target, ownerOnly); err != nil {
		return "", "", workDirProblem(target, err)
	}
	if data, ok := c.seal.read(cached); ok && !exists(filepath.Join(target, parseState)) {
		return target, cached, os.WriteFile(filepath.Join(target, parseState), data, private)
	}
	return target, cached, nil
}

// keepHelperParse seals the parse that the helper has made.
func (c *CLI) keepHelperParse(cached string) {
	c.helper.mu.Lock()
	p := c.helper.process
	c.helper.mu.Unlock()
	if p != nil {
		name := strings.TrimSuffix(filepath.Base(cached), ".msgpack")
		c.keepParse(filepath.Join(p.scratch, name, parseState), cached)
	}
}

// reviewProblem explains why there is no review.
func (c *CLI) reviewProblem(err error) error {
	var failure *helperError
	if !errors.As(err, &failure) {
		return err
	}
	if failure.Kind == refused {
		return c.mask(explainText(failure.Text, false))
	}
	return c.mask(&problem.Problem{
		What: "dbt's programmatic interface can't be used",
		Why:  failure.Error(),
		Next: "Use dbt Core 1.8 to 1.12, or set dbt.executable to a script that starts dbt: its command line is then " +
			"used instead.",
		Path: []string{"dbt", "executable"},
		Err:  errors.Join(ErrUnhandled, failure),
	})
}

// reviewListing is the helper's answer as a Listing.
func (c *CLI) reviewListing(s Selection, answer reviewed) (Listing, error) {
	found, about := answer.Selections[0], answer.About
	names := nodeNames(about.Names)
	l := Listing{
		Models: []Model{}, DownstreamModels: found.Downstream, Exposures: found.Exposures,
		DBTVersion: about.Versions.DBT, Connection: c.maskAll(about.Connection),
		Path: about.Connection["path"], Identity: c.maskIdentity(about.Identity),
		Content: found.Content, PassedOver: found.PassedOver, Threads: about.Threads, Interface: true,
	}
	for _, hook := range about.RunHooks {
		l.RunHooks = append(l.RunHooks, c.secrets.String(hook.SQL))
	}
	for _, m := range found.Models {
		model := m.Model
		model.Materialization, model.FullRefresh = m.Config.Materialized, m.Config.FullRefresh
		model.Strategy, model.BatchSize = m.Config.Strategy, m.Config.BatchSize
		model.SchemaChange, model.HasUniqueKey = m.Config.SchemaChange, hasKey(m.Config.UniqueKey)
		model.Hooks.Pre, model.Hooks.Post = c.maskList(model.Hooks.Pre), c.maskList(model.Hooks.Post)
		l.Models = append(l.Models, model)
	}
	slices.SortFunc(l.Models, func(a, b Model) int { return strings.Compare(a.UniqueID, b.UniqueID) })
	if len(found.Unmatched.Select) > 0 {
		return l, c.unknownSelectors(s, found.Unmatched.Select, names)
	}
	for _, selector := range found.Unmatched.Exclude {
		l.Warnings = append(l.Warnings, "exclude: "+selector+" matches nothing")
	}
	if err := onlyOthers(s, l, names); err != nil {
		return l, err
	}
	if len(l.Models) == 0 {
		return l, c.noMatch(s, found.Passive)
	}
	return l, nil
}

// hasKey tells whether a unique_key is set: a name, or a list of them.
func hasKey(key any) bool {
	switch k := key.(type) {
	case string:
		return k != ""
	case []any:
		return len(k) > 0
	default:
		return key != nil
	}
}

func (c *CLI) maskList(texts []string) []string {
	masked := make([]string, len(texts))
	for i, text := range texts {
		masked[i] = c.secrets.String(text)
	}
	return masked
}

func (c *CLI) maskAll(facts map[string]string) map[string]string {
	masked := make(map[string]string, len(facts))
	for name, value := range facts {
		masked[name] = c.secrets.String(value)
	}
	return masked
}

// maskIdentity replaces what holds a secret by its hash, since two places that differ in it only are not the same.
func (c *CLI) maskIdentity(facts map[string]string) map[string]string {
	masked := make(map[string]string, len(facts))
	for name, value := range facts {
		masked[name] = value
		if c.secrets.String(value) != value {
			sum := sha256.Sum256([]byte(value))
			masked[name] = "sha256:" + hex.EncodeToString(sum[:])
		}
	}
	return masked
}
