package dbt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// listByCommand lists with `dbt ls`, which writes to a scratch folder. It is for wrappers, which can only be driven by
// their command line.
func (c *CLI) listByCommand(ctx context.Context, p project, s Selection) (Listing, error) {
	release, err := c.slot(ctx)
	if err != nil {
		return Listing{}, err
	}
	defer release()
	scratch, err := c.scratch("ls-*")
	if err != nil {
		return Listing{}, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // the cache has the answer
	run, err := c.start(ctx, launch{argv: c.listCommand(s), dir: scratch, project: p, scratch: true})
	if err != nil {
		return Listing{}, err
	}
	end := run.end(ctx)
	if err := c.checkCommand(ctx, p, end.summary.Version); err != nil {
		return Listing{}, err
	}
	failure := end.failure()
	// Where a project treats warnings as errors, dbt stops at the first selector that matches nothing.
	stopped := unmatchedCriterion.FindStringSubmatch(end.summary.Failure)
	if failure != nil && stopped == nil {
		return Listing{}, failure
	}
	m, err := readManifest(filepath.Join(scratch, targetFolder, "manifest.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Listing{}, noArtifacts("manifest.json")
	}
	if errors.Is(err, errTooLarge) {
		return Listing{}, tooLarge(err)
	}
	if err != nil {
		return Listing{}, c.unreadable(err)
	}
	if p.isAnother(m.Metadata.Project) {
		return Listing{}, anotherProject(p.Name, m.Metadata.Project)
	}
	if failure != nil {
		return Listing{}, c.stoppedAt(s, stopped[1], m)
	}
	l, passive, err := c.listing(end.summary, m)
	if err != nil {
		return l, err
	}
	if err := c.unmatched(s, end.summary.Unmatched, &l, m); err != nil {
		return l, err
	}
	if err := onlyOthers(s, l, m.kinds()); err != nil {
		return l, err
	}
	if len(l.Models) == 0 {
		return l, c.noMatch(s, passive, l.NotRun)
	}
	if err := s.checkFeatures(l); err != nil {
		return l, err
	}
	l.Warnings = append(l.Warnings, s.versionWarnings(l, nil)...)
	l.Content, l.Identity, err = c.fileContent(ctx, p, l.Models)
	return l, err
}

// tooLarge returns the problem with a manifest that is too large to read. Through dbt's programmatic interface, no
// manifest is read.
func tooLarge(err error) error {
	return &problem.Problem{
		What: "The manifest of the dbt project is too large", Why: err.Error() + ".",
		Next: "Nothing has run. Set dbt.executable to the dbt command itself instead of a script: no manifest is " +
			"read then.",
		Path: []string{"dbt", "executable"}, Err: errors.Join(ErrUnhandled, err),
	}
}

// anotherProject returns the problem that a script runs dbt in another project than the one that is configured.
func anotherProject(configured, listed string) error {
	return &problem.Problem{
		What: "dbt.executable uses another dbt project",
		Why: fmt.Sprintf("The script has listed the project %q. dbt.project_dir has the project %q.", listed,
			configured),
		Next: "Nothing has run. Make the script run dbt in its working directory, without --project-dir.",
		Path: []string{"dbt", "executable"}, Err: ErrUnhandled,
	}
}

// listing combines the output of `dbt ls` with the manifest. passive is how many selected models dbt never runs.
func (c *CLI) listing(log summary, m manifest) (l Listing, passive int, err error) {
	l = Listing{Models: []Model{}, DBTVersion: log.Version}
	var ids, selected []string
	for _, printed := range log.Printed {
		var row struct {
			UniqueID string `json:"unique_id"`
		}
		if json.Unmarshal([]byte(printed), &row) != nil || row.UniqueID == "" {
			continue // output of a macro
		}
		n, ok := m.Nodes[row.UniqueID]
		if !ok {
			return l, 0, c.unreadable(fmt.Errorf("the manifest does not contain %s", row.UniqueID))
		}
		selected = append(selected, row.UniqueID)
		if n.Config.Materialized == "ephemeral" || strings.TrimSpace(n.RawCode) == "" {
			passive++
			continue
		}
		ids = append(ids, row.UniqueID)
		l.Models = append(l.Models, m.model(row.UniqueID, n))
	}
	slices.SortFunc(l.Models, func(a, b Model) int { return strings.Compare(a.UniqueID, b.UniqueID) })
	l.DownstreamModels, l.Exposures = m.downstream(ids, selected)
	return l, passive, nil
}

// unmatched handles the selectors for which dbt warned that they match nothing: an error in models, a warning in
// exclude.
func (c *CLI) unmatched(s Selection, criteria []string, l *Listing, m manifest) error {
	var unknown []string
	for _, criterion := range criteria {
		if slices.Contains(s.Exclude, criterion) && !slices.Contains(s.selecting().Select, criterion) {
			l.Warnings = append(l.Warnings, "exclude: "+criterion+" matches nothing")
			continue
		}
		unknown = append(unknown, criterion)
	}
	if len(unknown) == 0 {
		return nil
	}
	return c.unknownSelectors(s, unknown, m.kinds())
}

// unmatchedCriterion matches dbt's error for a selector that matches nothing, in a project that treats warnings as
// errors.
var unmatchedCriterion = regexp.MustCompile(`The selection criterion '(.*)' does not match any enabled nodes`)

// stoppedAt returns the problem for a selector at which dbt stopped, because the project treats warnings as errors.
func (c *CLI) stoppedAt(s Selection, criterion string, m manifest) error {
	if err := c.unmatched(s, []string{criterion}, &Listing{}, m); err != nil {
		return err
	}
	return &problem.Problem{
		What: "An exclude matches nothing",
		Why:  fmt.Sprintf("%q matches nothing, and the project treats warnings as errors (warn_error).", criterion),
		Next: "Remove it from exclude.", Path: []string{"exclude"}, Err: ErrUnknownModel,
	}
}

// fileContent returns the Content and the Identity of a Listing when dbt's own view is not available. Content covers
// the project's files and the script that starts dbt, so any change to one of them changes it. Identity is the
// project's folder with the name of the profile's target.
func (c *CLI) fileContent(ctx context.Context, p project, models []Model) (json.RawMessage, map[string]string, error) {
	profiles, err := c.profilesDir(p)
	if err != nil {
		return nil, nil, err
	}
	files, err := c.files(p)
	if err != nil {
		return nil, nil, err
	}
	exe, err := c.executable()
	if err != nil {
		return nil, nil, err
	}
	found, err := sums(ctx, append(files, filepath.Join(profiles, "profiles.yml"), exe))
	if err != nil {
		return nil, nil, err
	}
	byPath := map[string]string{}
	for i, path := range files {
		name, err := filepath.Rel(p.Dir, path)
		if err != nil {
			name = path
		}
		byPath[filepath.ToSlash(name)] = fmt.Sprintf("%x", found[i])
	}
	// Where the models are built also depends on the script, which can set another target.
	relations := map[string]string{}
	for _, m := range models {
		relations[m.UniqueID] = m.Relation.String()
	}
	content, err := json.Marshal(map[string]any{
		"format": 1, "models": ids(models), "relations": relations, "files": byPath,
		"profiles": fmt.Sprintf("%x", found[len(files)]), "executable": fmt.Sprintf("%x", found[len(files)+1]),
	})
	identity := map[string]string{"project": p.Dir, "target": c.cfg.Target}
	if real, linkErr := filepath.EvalSymlinks(p.Dir); linkErr == nil {
		identity["project"] = real
	}
	return content, identity, errors.Join(err)
}

func ids(models []Model) []string {
	all := make([]string, len(models))
	for i, m := range models {
		all[i] = m.UniqueID
	}
	return all
}

// kinds returns the kinds of the manifest's nodes by name.
func (m manifest) kinds() kinds {
	names := kinds{}
	for _, n := range m.Nodes {
		names[n.Name] = append(names[n.Name], n.ResourceType)
	}
	for _, n := range m.Sources {
		names[n.Name] = append(names[n.Name], "source")
	}
	for name := range names {
		slices.Sort(names[name])
	}
	return names
}
