package dbt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// version is a version of dbt Core: its first three numbers.
type version [3]int

var (
	oldestVersion, newestVersion = version{1, 8, 0}, version{1, 12, 0}
	// microbatchVersion is the first with microbatch models and the flags --event-time-start and --event-time-end.
	microbatchVersion = version{1, 9, 0}
	// spareThreadVersion is the first that does not wait forever if each thread runs a microbatch model
	// (github.com/dbt-labs/dbt-core/issues/11420).
	spareThreadVersion = version{1, 11, 3}
)

// testedVersions are the versions that the tests run with.
const testedVersions = "1.8 to 1.12"

var (
	// numbers matches the numbers at the start of a version such as "1.12.0b1".
	numbers = regexp.MustCompile(`^=?(\d+)\.(\d+)(?:\.(\d+))?`)
	// coreFolder matches the folder in which pip records the version of dbt Core.
	coreFolder = regexp.MustCompile(`dbt_core-(\d[^/\\]*)\.dist-info$`)
	// cloudCLI and fusion match what `dbt --version` of other programs prints: "dbt Cloud CLI - 0.40.18 (aa58f64 ...)",
	// "dbt-fusion 2.0.0-preview.45", "dbt-core 2.0.0", "dbt 2.0.1". dbt Core before 2.0 prints neither.
	cloudCLI = regexp.MustCompile(`(?im)^(?:dbt )?cloud cli - (\S+)`)
	fusion   = regexp.MustCompile(`(?m)^dbt(?:-fusion|-core)? (\d+\.\d\S*)`)
	// installedLine matches the version in what `dbt --version` of dbt Core prints.
	installedLine = regexp.MustCompile(`(?m)^\s*- installed:\s*(\d\S*)`)
)

// parseVersion returns the numbers of a version. It reports false if there are none.
func parseVersion(s string) (version, bool) {
	m := numbers.FindStringSubmatch(s)
	if m == nil {
		return version{}, false
	}
	var v version
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1]) // digits only; a missing third number is zero
	}
	return v, true
}

func (v version) before(other version) bool { return slices.Compare(v[:], other[:]) < 0 }

// installedVersion returns the version of dbt Core that pip has recorded beside dbt's own entry point. It reports false
// if the executable is something else.
func (c *CLI) installedVersion() (version, bool) {
	exe, err := c.executable()
	if err != nil {
		return version{}, false
	}
	if _, ok := interpreter(exe); !ok {
		return version{}, false
	}
	var found []string
	for _, folder := range packageFolders(exe) {
		if m := coreFolder.FindStringSubmatch(folder); m != nil {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		return version{}, false
	}
	return parseVersion(found[0])
}

// checkInstalled refuses a dbt Core that is too old before it is started.
func (c *CLI) checkInstalled() error {
	if v, known := c.installedVersion(); known {
		return checkVersion(fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]))
	}
	return nil
}

// checkVersion refuses dbt Core before 1.8, whose interfaces and artifacts differ, and dbt 2.0 and later, which is
// another program. An unknown version is not refused.
func checkVersion(said string) error {
	v, known := parseVersion(said)
	switch {
	case !known:
		return nil
	case v.before(oldestVersion):
		return unsupported("dbt Core "+said, "Its interfaces and artifacts differ from those of later versions.")
	case v[0] > newestVersion[0]:
		return unsupported("dbt Fusion "+said, "It is another program than dbt Core, and its interfaces and artifacts "+
			"differ.")
	default:
		return nil
	}
}

func unsupported(what, why string) error {
	return &problem.Problem{
		What: what + " is not supported",
		Why:  "dbt.executable starts " + what + ". " + why,
		Next: "Install dbt Core " + testedVersions + " with the adapter of your warehouse (pip install " +
			"'dbt-core>=1.8,<2' dbt-postgres, for example), and set dbt.executable to its path.",
		Path: []string{"dbt", "executable"},
		Err:  ErrVersion,
	}
}

// checkCommand refuses what a command of dbt was started with if that is no supported dbt. logged is the version in
// its log. Other programs log none, so they are asked for it.
func (c *CLI) checkCommand(ctx context.Context, p project, logged string) error {
	if logged != "" {
		return checkVersion(logged)
	}
	said := c.askVersion(ctx, p)
	if m := cloudCLI.FindStringSubmatch(said); m != nil {
		return unsupported("dbt Cloud CLI "+m[1], "It runs models in dbt Cloud, where nothing can check that what was "+
			"reviewed is what runs.")
	}
	if m := fusion.FindStringSubmatch(said); m != nil {
		return checkVersion(m[1])
	}
	if m := installedLine.FindStringSubmatch(said); m != nil {
		return checkVersion(m[1])
	}
	return nil
}

// askVersion returns what `dbt --version` prints, or nothing.
func (c *CLI) askVersion(ctx context.Context, p project) string {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	scratch, err := c.scratch("version-*")
	if err != nil {
		return ""
	}
	defer func() { _ = os.RemoveAll(scratch) }() // only the answer matters
	run, err := c.start(ctx, launch{argv: []string{c.cfg.Executable, "--version"}, dir: scratch, project: p,
		scratch: true})
	if err != nil {
		return ""
	}
	run.end(ctx)
	return excerpt(filepath.Join(scratch, eventsFile)) + "\n" + excerpt(filepath.Join(scratch, stderrFile))
}

// checkFeatures refuses inputs and models that dbt Core before 1.9 lacks.
func (s Selection) checkFeatures(l Listing) error {
	v, known := parseVersion(l.DBTVersion)
	if !known || !v.before(microbatchVersion) {
		return nil
	}
	if s.EventTimeStart != "" {
		return &problem.Problem{
			What: "This dbt has no event-time window",
			Why: fmt.Sprintf("event_time_start and event_time_end need dbt Core 1.9 or later, and dbt.executable "+
				"starts dbt Core %s.", l.DBTVersion),
			Next: "Upgrade dbt, or remove them.", Path: []string{"event_time_start"}, Err: ErrVersion,
		}
	}
	batched := microbatchModels(l.Models)
	if len(batched) == 0 {
		return nil
	}
	return &problem.Problem{
		What: "This dbt has no microbatch models",
		Why: fmt.Sprintf("incremental_strategy is microbatch in %s. That needs dbt Core 1.9 or later, and "+
			"dbt.executable starts dbt Core %s: it would build everything at once, and fail if the table exists.",
			someOf(batched), l.DBTVersion),
		Next: "Upgrade dbt, or exclude these models.", Path: []string{"models"}, Err: ErrVersion,
	}
}

func microbatchModels(models []Model) []string {
	var names []string
	for _, m := range models {
		if m.Materialization == "incremental" && m.Strategy == "microbatch" {
			names = append(names, m.Name)
		}
	}
	return names
}

// versionWarnings are for the reader of a plan. concurrent are the models whose batches may run at the same time.
func (s Selection) versionWarnings(l Listing, concurrent []string) []string {
	v, known := parseVersion(l.DBTVersion)
	if !known {
		return nil
	}
	var warnings []string
	if after := (version{newestVersion[0], newestVersion[1] + 1, 0}); !v.before(after) {
		warnings = append(warnings, fmt.Sprintf("dbt Core %s is newer than the versions that this provider is tested "+
			"with (%s).", l.DBTVersion, testedVersions))
	}
	threads := l.Threads
	if s.Threads > 0 {
		threads = s.Threads
	}
	if n := len(concurrent); n > 0 && threads > 0 && n >= threads && v.before(spareThreadVersion) {
		warnings = append(warnings, fmt.Sprintf("dbt Core %s can wait forever when each of its threads runs a "+
			"microbatch model. This run has %s and these microbatch models: %s. Set threads to %d or more, set "+
			"concurrent_batches of the models to false, or use dbt Core 1.11.3 or later.", l.DBTVersion,
			text.Count(int64(threads), "thread"), someOf(concurrent), n+1))
	}
	return warnings
}

// someOf lists the first names.
func someOf(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
