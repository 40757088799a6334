package dbt

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// programs returns the executable and, behind dbt's own entry point, the RECORD files of dbt-core and of the adapter. A
// RECORD lists the files of an installed Python package with their checksums, so another version or build of the
// package has another RECORD. adapter is its type, such as "duckdb", or empty.
// Many callers at once share one look: a plan asks with each resource.
func (c *CLI) programs(ctx context.Context, adapter string) ([]proc.Program, error) {
	return c.hashed.do(ctx, adapter, func() ([]proc.Program, error) { return c.hashPrograms(ctx, adapter) })
}

func (c *CLI) hashPrograms(ctx context.Context, adapter string) ([]proc.Program, error) {
	exe, err := c.executable()
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(exe)
	if err != nil {
		return nil, err
	}
	found := []proc.Program{{Name: "dbt", Path: real}}
	if _, ok := interpreter(exe); ok {
		for _, folder := range packageFolders(exe) {
			// dbt_core-1.11.2.dist-info
			name, _, _ := strings.Cut(filepath.Base(folder), "-")
			name = strings.ReplaceAll(name, "_", "-")
			record := filepath.Join(folder, "RECORD")
			if (name == "dbt-core" || adapter != "" && name == "dbt-"+adapter) && exists(record) {
				found = append(found, proc.Program{Name: name, Path: record})
			}
		}
	}
	paths := make([]string, len(found))
	for i, p := range found {
		paths[i] = p.Path
	}
	hashes, err := sums(ctx, paths)
	if err != nil {
		return nil, fmt.Errorf("hash dbt's programs: %w", err)
	}
	for i := range found {
		found[i].SHA256 = hex.EncodeToString(hashes[i][:])
	}
	slices.SortFunc(found, func(a, b proc.Program) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Path, b.Path))
	})
	return found, nil
}

// packageFolders returns the folders in which pip records dbt's Python packages: those next to the executable, or next
// to its interpreter if there are none. A package of the operating system may have no RECORD in its folder.
func packageFolders(exe string) []string {
	beside := exe
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		beside = real
	}
	python, _ := interpreter(exe)
	for _, program := range []string{beside, python} {
		// Debian's own Python has dist-packages.
		found, err := filepath.Glob(filepath.Join(filepath.Dir(program), "..", "lib", "python*", "*-packages",
			"dbt_*.dist-info"))
		if err == nil && program != "" && len(found) > 0 {
			return found
		}
	}
	return nil
}

// comparePrograms refuses programs that differ from the reviewed ones.
func (c *CLI) comparePrograms(ctx context.Context, r Reviewed) error {
	if len(r.Programs) == 0 {
		return nil
	}
	var identity struct {
		Adapter string `json:"adapter"`
	}
	if err := json.Unmarshal(r.Identity, &identity); err != nil {
		return fmt.Errorf("the identity that was reviewed: %w", err)
	}
	now, err := c.programs(ctx, identity.Adapter)
	if err != nil {
		return err
	}
	if changes := proc.ProgramChanges(r.Programs, now); len(changes) > 0 {
		return notReviewed(changes)
	}
	return nil
}
