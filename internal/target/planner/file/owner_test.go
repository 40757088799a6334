//go:build !windows

package file_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/file"
)

// TestWriteKeepsTheOwner covers a router that reads the file as another user. Only root can give it a file.
func TestWriteKeepsTheOwner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "planner.json")
	write(t, path, split(10))
	owner, group := os.Getuid(), os.Getgid()
	if owner == 0 {
		owner, group = 12345, 23456
	}
	if err := os.Chown(path, owner, group); err != nil {
		t.Fatal(err)
	}
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
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != owner || int(stat.Gid) != group {
		t.Errorf("owner %+v", info.Sys())
	}
}
