package file_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/file"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/plannertest"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	const mode = 0o640
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func split(canary float64) string {
	return fmt.Sprintf(`{"revision": 4, "stable": "v1", "versions": {"v1": {"percent": %g}, "v2": {"percent": %g}}}`,
		100-canary, canary)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	plannertest.Run(t, func(t *testing.T) plannertest.Backend {
		t.Helper()
		path := filepath.Join(t.TempDir(), "planner.json")
		write(t, path, split(10))
		return plannertest.Backend{
			Planner: file.New(path), Second: file.New(path),
			Foreign: func(t *testing.T, percent float64) { t.Helper(); write(t, path, split(percent)) },
			Odd:     odd(path),
		}
	})
}

// odd are states that people write into the file.
func odd(path string) map[string]func(t *testing.T) {
	out := map[string]func(t *testing.T){}
	for name, versions := range map[string]string{
		"a third":           `"v1": {"percent": 66.667}, "v2": {"percent": 33.333}`,
		"many digits":       `"v1": {"percent": 66.66666666666667}, "v2": {"percent": 33.33333333333333}`,
		"half a percent":    `"v1": {"percent": 99.5}, "v2": {"percent": 0.5}`,
		"95.238 percent":    `"v1": {"percent": 95.238}, "v2": {"percent": 4.762}`,
		"three versions":    `"v0": {"percent": 20}, "v1": {"percent": 50}, "v2": {"percent": 30}`,
		"three, one down":   `"v0": {"percent": 0, "down": true}, "v1": {"percent": 90}, "v2": {"percent": 10}`,
		"three, one idle":   `"v0": {"percent": 0}, "v1": {"percent": 90}, "v2": {"percent": 10}`,
		"four versions":     `"v-1": {"percent": 1}, "v0": {"percent": 2}, "v1": {"percent": 94}, "v2": {"percent": 3}`,
		"canary down":       `"v1": {"percent": 100}, "v2": {"percent": 0, "down": true}`,
		"everything canary": `"v1": {"percent": 0}, "v2": {"percent": 100}`,
	} {
		out[name] = func(t *testing.T) {
			t.Helper()
			write(t, path, `{"revision": 9, "stable": "v1", "versions": {`+versions+`}}`)
		}
	}
	return out
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, says string }{
		"not 100":        {`{"versions": {"v1": {"percent": 50}, "v2": {"percent": 25}}}`, "sum to 75%"},
		"no JSON":        {`v1: 100`, "malformed"},
		"unknown field":  {`{"versions": {"v1": {"percent": 100, "weight": 1}}}`, `the unknown name "weight"`},
		"half a file":    {`{"versions": {"v1": {"percent": 100`, "The text ends before the JSON is complete"},
		"unknown stable": {`{"stable": "v0", "versions": {"v1": {"percent": 100}}}`, `"v0" is not among the versions`},
		"over 100":       {`{"versions": {"v1": {"percent": 101}, "v2": {"percent": -1}}}`, "A share is"},
		"empty":          {`{}`, "sum to 0%"},
		"two documents":  {split(10) + split(20), "more text after the JSON document"},
		"a conflict":     {split(10) + "\n<<<<<<< ours\n" + split(20), "more text after the JSON document"},
		"a name of two lines": {`{"stable": "v1\nApproval    not needed", "versions": {"v1\nApproval    not needed": ` +
			`{"percent": 90}, "v2": {"percent": 10}}}`, "The name of a version contains a line break"},
		"no name": {`{"versions": {"": {"percent": 100}}}`, "The name of a version is empty"},
	} {
		path := filepath.Join(t.TempDir(), "planner.json")
		write(t, path, tt.text)
		if _, err := file.New(path).Read(t.Context()); !errors.Is(err, planner.ErrMalformed) ||
			!strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := file.New(filepath.Join(t.TempDir(), "none.json")).Read(t.Context()); !errors.Is(err,
		planner.ErrMalformed) {
		t.Errorf("missing file: %v", err)
	}
}

func TestWriteKeepsTheModeAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "planner.json")
	write(t, path, split(10))
	p := file.New(path)
	now, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Set(t.Context(), planner.Change{Revision: now.Revision,
		Shares: map[string]float64{"v1": 75, "v2": 25}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 2 { // the file and its lock
		t.Errorf("files %v, %v", left, err)
	}
}

func TestSymbolicLinkIsFollowedAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.json"), filepath.Join(t.TempDir(), "planner.json")
	write(t, real, split(10))
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	p := file.New(link)
	now, err := p.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if direct, err := file.New(real).Read(t.Context()); err != nil || direct.Identity != now.Identity ||
		len(direct.Aliases) != 0 || !slices.Equal(now.Aliases, []string{"planner:file:" + real}) {
		t.Errorf("identities %v and %v, aliases %q, %v", direct.Identity, now.Identity, now.Aliases, err)
	}
	if _, err := p.Set(t.Context(), planner.Change{Revision: now.Revision,
		Shares: map[string]float64{"v1": 75, "v2": 25}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is now %v, %v", info, err)
	}
	if after, err := file.New(real).Read(t.Context()); err != nil || after.Shares["v2"] != 25 {
		t.Errorf("the file behind it has %v, %v", after.Shares, err)
	}
}
