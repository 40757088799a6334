//go:build unix

package access_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
