package dbt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

const projectFile = "dbt_project.yml"

// project contains what this package reads from dbt_project.yml.
type project struct {
	// Dir is the absolute path of its folder.
	Dir string
	// Name is the project's name.
	Name string
	// Paths are the folders that dbt reads resources from, relative to Dir.
	Paths []string
	// InstallPath is the absolute path to which packages are installed.
	InstallPath string
	// Packages are the folders with installed packages: InstallPath, or local packages and a copy, see ListAfter.
	Packages []string
	// Resolved are packages that are to be installed. Nil: the packages in InstallPath are used.
	Resolved *Resolved
	// Copy is the folder in which Resolved is installed, or empty.
	Copy string
	// InstallDynamic reports that InstallPath is a guess, because only dbt can render its template.
	InstallDynamic bool
	// Skip are the absolute paths of dbt's own output.
	Skip []string
	// Dynamic reports that paths are templates that only dbt can render.
	Dynamic bool
	// Vars is the vars section.
	Vars any
}

// defaultPaths are dbt's defaults for the resource paths (dbt-core 1.11, dbt/config/project.py).
var defaultPaths = map[string][]string{
	"model-paths": {"models"}, "macro-paths": {"macros"}, "seed-paths": {"seeds"}, "test-paths": {"tests"},
	"analysis-paths": {"analyses"}, "snapshot-paths": {"snapshots"}, "function-paths": {"functions"}, "docs-paths": nil,
	"asset-paths": nil,
}

// project reads dbt_project.yml.
func (c *CLI) project() (project, error) {
	dir, err := c.projectDir()
	if err != nil {
		return project{}, err
	}
	path := filepath.Join(dir, projectFile)
	data, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return project{}, projectProblem(ErrNotAProject, "The dbt project folder contains no dbt_project.yml",
				fmt.Sprintf("%s has no %s.", dir, projectFile), err)
		}
		return project{}, projectProblem(ErrNotAProject, "dbt_project.yml can't be read", err.Error(), err)
	}
	raw, err := readYAML(data)
	if err != nil {
		return project{}, malformed(path, err)
	}
	name, _ := raw["name"].(string)
	if name == "" {
		return project{}, malformed(path, errors.New("it has no name"))
	}
	return newProject(dir, name, raw), nil
}

func newProject(dir, name string, raw map[string]any) project {
	p := project{Dir: dir, Name: name, Vars: raw["vars"]}
	text := func(key, fallback string) string {
		s, ok := raw[key].(string)
		if !ok || s == "" {
			s = fallback
		}
		if strings.Contains(s, "{{") {
			p.Dynamic = true
			s = fallback
		}
		if filepath.IsAbs(s) {
			return filepath.Clean(s)
		}
		return filepath.Join(dir, s)
	}
	p.InstallPath = text("packages-install-path", "dbt_packages")
	p.InstallDynamic = p.Dynamic
	p.Packages = []string{p.InstallPath}
	p.Skip = []string{text("target-path", "target"), text("log-path", "logs")}
	for key, fallback := range defaultPaths {
		list, ok := raw[key].([]any)
		if !ok {
			p.Paths = append(p.Paths, fallback...)
			continue
		}
		for _, item := range list {
			s := fmt.Sprint(item)
			p.Dynamic = p.Dynamic || strings.Contains(s, "{{")
			p.Paths = append(p.Paths, s)
		}
	}
	return p
}

// projectDir checks that Config.ProjectDir is a folder and returns its absolute path.
func (c *CLI) projectDir() (string, error) {
	if c.cfg.ProjectDir == "" {
		return "", projectProblem(ErrProjectMissing, "No dbt project is named", "dbt.project_dir is not set.", nil)
	}
	dir, err := filepath.Abs(c.cfg.ProjectDir)
	if err != nil {
		return "", projectProblem(ErrProjectMissing, "The dbt project folder can't be found", err.Error(), err)
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return "", projectProblem(ErrProjectMissing, "The dbt project folder can't be read", err.Error(), err)
	case !info.IsDir():
		return "", projectProblem(ErrProjectNotFolder, "The dbt project folder is a file", dir+" is not a folder.", nil)
	}
	return dir, nil
}

func projectProblem(sentinel error, what, why string, err error) error {
	return &problem.Problem{
		What: what, Why: why,
		Next: "Set dbt.project_dir to the folder that contains dbt_project.yml.",
		Path: []string{"dbt", "project_dir"},
		Err:  errors.Join(sentinel, err),
	}
}

func malformed(path string, err error) error {
	return &problem.Problem{
		What: "dbt_project.yml is malformed",
		Why:  fmt.Sprintf("%s: %v.", path, err),
		Next: "Correct the file; `dbt parse` in the project's folder shows whether dbt accepts it.",
		Path: []string{"dbt", "project_dir"},
		Err:  errors.Join(ErrProjectMalformed, err),
	}
}

// profilesDir returns the folder in which dbt looks for profiles.yml. It checks that the file is there.
func (c *CLI) profilesDir(p project) (string, error) {
	dir := c.cfg.ProfilesDir
	if dir == "" {
		dir = p.Dir
		if _, err := os.Stat(filepath.Join(dir, "profiles.yml")); err != nil {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", profilesProblem("no profiles.yml in " + p.Dir + ", and no home folder is known: " +
					err.Error())
			}
			dir = filepath.Join(home, ".dbt")
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", profilesProblem(err.Error())
	}
	if _, err := os.Stat(filepath.Join(dir, "profiles.yml")); err != nil {
		return "", profilesProblem(err.Error())
	}
	return dir, nil
}

func profilesProblem(why string) error {
	return &problem.Problem{
		What: "dbt's profiles.yml can't be used",
		Why:  why,
		Next: "Set dbt.profiles_dir to the folder of a profiles.yml that holds the project's profile; `dbt debug` " +
			"checks it.",
		Path: []string{"dbt", "profiles_dir"},
		Err:  ErrProfiles,
	}
}
