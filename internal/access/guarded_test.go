//go:build unix

package access_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/access"
)

// TestReadGuarded checks who may be able to write a file that binds the run.
func TestReadGuarded(t *testing.T) {
	t.Parallel()
	root, other := access.Reader{UID: 0}, access.Reader{UID: os.Geteuid() + 4711}
	self := access.Reader{UID: os.Geteuid()}
	for name, tt := range map[string]struct {
		file, folder fs.FileMode
		by           access.Reader
		want         error
	}{
		"another user's":        {0o644, 0o755, other, nil},
		"root reads":            {0o600, 0o700, root, nil},
		"group":                 {0o664, 0o755, other, access.ErrUnguarded},
		"others":                {0o646, 0o755, other, access.ErrUnguarded},
		"group, read by root":   {0o664, 0o755, root, access.ErrUnguarded},
		"a folder of the group": {0o644, 0o775, other, access.ErrUnguarded},
		"a folder of others":    {0o644, 0o757, root, access.ErrUnguarded},
		"a sticky folder":       {0o644, 0o777 | fs.ModeSticky, other, nil},
	} {
		path := filepath.Join(t.TempDir(), "policy.json")
		if err := errors.Join(os.WriteFile(path, []byte("{}"), 0o600), os.Chmod(path, tt.file),
			os.Chmod(filepath.Dir(path), tt.folder)); err != nil {
			t.Fatal(err)
		}
		if data, err := access.ReadGuarded(path, tt.by); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if _, err := access.ReadGuarded(path, self); !self.Root() && !errors.Is(err, access.ErrUnguarded) {
			t.Errorf("%s: the owner may use it: %v", name, err)
		}
	}
}

// TestReadGuardedByLinks checks the folder of a link like the folder of the file.
func TestReadGuardedByLinks(t *testing.T) {
	t.Parallel()
	dir, open := t.TempDir(), t.TempDir()
	file, link := filepath.Join(dir, "policy.json"), filepath.Join(open, "link.json")
	if err := errors.Join(os.WriteFile(file, []byte("{}"), 0o600), os.Symlink(file, link),
		os.Chmod(open, 0o777)); err != nil { //nolint:gosec // that is what the test is about
		t.Fatal(err)
	}
	if _, err := access.ReadGuarded(link, access.Reader{}); !errors.Is(err, access.ErrUnguarded) {
		t.Errorf("a link in a folder that everybody can write: %v", err)
	}
	for name, path := range map[string]string{"relative": "policy.json", "missing": filepath.Join(dir, "no.json"),
		"folder": dir} {
		if _, err := access.ReadGuarded(path, access.Reader{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestReadGuardedChecksEveryLink puts the middle of a chain of links where somebody else can replace it. The path and
// the file that it leads to are protected.
func TestReadGuardedChecksEveryLink(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		links map[string]string // by path; "open" is the folder that others can write
		path  string
		want  error
	}{
		"a link in a protected folder": {links: map[string]string{"safe/a": "../real/policy.json"}, path: "safe/a"},
		"a chain in protected folders": {links: map[string]string{"safe/a": "b", "safe/b": "ROOT/real/policy.json"},
			path: "safe/a"},
		"a linked folder": {links: map[string]string{"safe/d": "../real"}, path: "safe/d/policy.json"},
		"a link in the middle of a chain": {links: map[string]string{"safe/a": "ROOT/open/b",
			"open/b": "ROOT/real/policy.json"}, path: "safe/a", want: access.ErrUnguarded},
		"a relative link in the middle": {links: map[string]string{"safe/a": "../open/b",
			"open/b": "../real/policy.json"}, path: "safe/a", want: access.ErrUnguarded},
		"a linked folder in the middle": {links: map[string]string{"safe/d": "../open/e", "open/e": "../real"},
			path: "safe/d/policy.json", want: access.ErrUnguarded},
		"through a folder and back": {links: map[string]string{"safe/a": "../open/../real/policy.json"},
			path: "safe/a", want: access.ErrUnguarded},
	} {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range []string{"safe", "real", "open"} {
			err = errors.Join(err, os.Mkdir(filepath.Join(dir, folder), 0o755)) //nolint:gosec // others may read it
		}
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "real", "policy.json"), []byte("{}"), 0o600))
		for path, to := range tt.links {
			err = errors.Join(err, os.Symlink(strings.ReplaceAll(to, "ROOT", dir), filepath.Join(dir, path)))
		}
		err = errors.Join(err, os.Chmod(filepath.Join(dir, "open"), 0o777)) //nolint:gosec // what the test is about
		if err != nil {
			t.Fatal(err)
		}
		data, err := access.ReadGuarded(filepath.Join(dir, tt.path), access.Reader{})
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %q, %v, want %v", name, data, err, tt.want)
		}
	}
	circle := filepath.Join(t.TempDir(), "circle")
	if err := os.Symlink("circle", circle); err != nil {
		t.Fatal(err)
	}
	if _, err := access.ReadGuarded(circle, access.Reader{}); err == nil {
		t.Error("a link to itself is read")
	}
}

// TestReadGuardedRefusesALinkOfTheReader: in a folder with the sticky bit, the owner of a link can replace it.
func TestReadGuardedRefusesALinkOfTheReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "policy.json"), filepath.Join(dir, "sticky", "link")
	if err := errors.Join(os.WriteFile(file, []byte("{}"), 0o600), os.Mkdir(filepath.Dir(link), 0o700),
		os.Symlink(file, link), os.Chmod(filepath.Dir(link), 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	by := access.Reader{UID: os.Geteuid()}
	if by.Root() { // everything belongs to root, so let only the link belong to another reader
		by.UID = 4711
		if _, err := access.ReadGuarded(link, by); err != nil {
			t.Errorf("a link of root: %v", err)
		}
		if err := os.Lchown(link, by.UID, -1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := access.ReadGuarded(link, by); !errors.Is(err, access.ErrUnguarded) {
		t.Errorf("got %v", err)
	}
}
