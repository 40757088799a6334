package acctest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

const (
	// mostPackages is the limit for the packages of the provider's binary, the standard library's included. The compile
	// time of a fresh clone follows it.
	mostPackages = 700
	// largest is the limit for the size of a release binary, in bytes.
	largest = 35_000_000
)

// TestTheBuildStaysLean fails if a dependency adds far more code than the provider uses.
func TestTheBuildStaysLean(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	cmd.Dir = acctest.Root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(out, []byte("\n")); n > mostPackages {
		t.Errorf("the binary has %d packages, the limit is %d; \"go mod why -m MODULE\" says what needs a module", n,
			mostPackages)
	} else {
		t.Logf("%d packages", n)
	}
	info, err := os.Stat(filepath.Join(acctest.Provider(t), "terraform-provider-remediation"))
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d bytes", info.Size()); info.Size() > largest {
		t.Errorf("a release binary has %d bytes, the limit is %d", info.Size(), largest)
	}
}
