package acctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Golden compares got with testdata/name. If UPDATE_GOLDEN is set, it writes the file instead. OpenTofu prints the same
// as Terraform, except for its name and one word.
func Golden(t testing.TB, name, got string) {
	t.Helper()
	got = strings.NewReplacer("OpenTofu", "Terraform", "is tainted, so it must", "is tainted, so must").Replace(got)
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		const dirMode, fileMode = 0o755, 0o644
		if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
			t.Fatal(err)
		}
		//nolint:gosec // test data is meant to be read
		if err := os.WriteFile(path, []byte(got), fileMode); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path) //nolint:gosec // test data
	if err != nil {
		t.Fatalf("%v (run the test with UPDATE_GOLDEN=1 to write it, then review it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}
