package dbt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// maxManifest is the size of the largest manifest.json, and of the largest artifact in a state folder, that is read, in
// bytes. dbt 1.11 writes about 2 kB for a model without documentation, so there is room for 10,000 models of six times
// that size.
const maxManifest = 128 << 20

// errTooLarge is wrapped by the error of checkSize for a file that is too large.
var errTooLarge = errors.New("is too large")

// stateArtifacts are the files in a state folder that dbt reads.
var stateArtifacts = [...]string{"manifest.json", "run_results.json", "sources.json"}

// stateFiles returns the paths of the artifacts that exist in the state folder of a selection.
func (p project) stateFiles(s Selection) (paths []string) {
	if s.State == "" {
		return nil
	}
	for _, name := range stateArtifacts {
		if path := filepath.Join(p.stateFolder(s), name); exists(path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// stateFolder returns the path of the state folder of a selection, which is relative to the project.
func (p project) stateFolder(s Selection) string {
	if filepath.IsAbs(s.State) {
		return s.State
	}
	return filepath.Join(p.Dir, s.State)
}

// checkState refuses artifacts in the state folder that are too large to read, and a manifest of another project,
// before dbt is started: dbt reads both without a warning. With another project's manifest, state: selects every model,
// and defer finds none. Without any manifest, dbt would refuse to defer only when it runs.
func (p project) checkState(s Selection) error {
	folder := p.stateFolder(s)
	if info, err := os.Stat(folder); s.State != "" && err == nil && !info.IsDir() {
		return stateProblem("state is not a folder", folder+" is a file.", nil)
	}
	if s.Defer && !exists(filepath.Join(folder, stateArtifacts[0])) {
		return stateProblem("defer finds no manifest", folder+" has no "+stateArtifacts[0]+".", nil)
	}
	for _, path := range p.stateFiles(s) {
		if err := checkSize(path); err != nil {
			return stateProblem("An artifact in the state folder can't be used", err.Error()+".", err)
		}
		if filepath.Base(path) != stateArtifacts[0] {
			continue
		}
		owner, err := projectOf(path)
		if err != nil {
			return stateProblem("An artifact in the state folder can't be used", fmt.Sprintf("%s: %v.", path, err), err)
		}
		if p.isAnother(owner) {
			return stateProblem("The state folder belongs to another dbt project", fmt.Sprintf(
				"%s is the manifest of the project %q. dbt.project_dir has the project %q.", path, owner, p.Name), nil)
		}
	}
	return nil
}

func stateProblem(what, why string, err error) error {
	return &problem.Problem{
		What: what, Why: why,
		Next: "Nothing has run. Set state to the folder with the artifacts of an earlier run of this project.",
		Path: []string{"state"}, Err: errors.Join(ErrSelection, err),
	}
}

// isAnother reports whether owner names another project than p. A name that dbt renders is not compared.
func (p project) isAnother(owner string) bool {
	return owner != "" && owner != p.Name && !strings.Contains(p.Name, "{{")
}

// checkSize refuses what is not a file, and a file that is too large to read.
func checkSize(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	case info.Size() > maxManifest:
		return fmt.Errorf("%s %w: it has %d MB, and at most %d MB are read", path, errTooLarge, info.Size()>>20,
			maxManifest>>20)
	}
	return nil
}

// projectOf returns the name of the project that a manifest describes, or an empty string if the manifest doesn't name
// it. dbt writes the name at the beginning of the file, so little of the file is read.
func projectOf(manifest string) (string, error) {
	f, err := os.Open(manifest) //nolint:gosec // the reviewed configuration names it
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only
	d := json.NewDecoder(f)
	if _, err := d.Token(); err != nil { // the bracket
		return "", err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", err
		}
		if key != "metadata" {
			if err := skip(d); err != nil {
				return "", err
			}
			continue
		}
		var metadata struct {
			Project string `json:"project_name"`
		}
		err = d.Decode(&metadata)
		return metadata.Project, err
	}
	return "", nil
}

// skip reads a value and keeps nothing of it.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
