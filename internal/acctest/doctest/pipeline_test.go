package doctest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/controlapi"
	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

func TestMain(m *testing.M) { os.Exit(elastictest.Main(m)) }

// stepTimeout bounds one step of a pipeline.
const stepTimeout = 5 * time.Minute

// runner is a machine that runs the steps of a pipeline: a fresh clone for each job, and what all jobs share.
type runner struct {
	t *testing.T
	// rc is Terraform's configuration file. It finds the provider in a mirror, as terraform init does.
	rc string
	// env is what the pipeline's administrator sets.
	env []string
	// api is the router that the playbooks change.
	api *controlapi.Server
}

func newRunner(t *testing.T, env ...string) runner {
	t.Helper()
	r := runner{t: t, rc: filepath.Join(t.TempDir(), "terraformrc")}
	mirror := t.TempDir()
	folder := filepath.Join(mirror, "registry.terraform.io", "applylens", "remediation", "1.0.0",
		runtime.GOOS+"_"+runtime.GOARCH)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	built, err := acctest.BuildProgram(".", "terraform-provider-remediation_v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(built, filepath.Join(folder, filepath.Base(built))); err != nil {
		t.Fatal(err)
	}
	r.write(r.rc, fmt.Sprintf("provider_installation {\n  filesystem_mirror { path = %q }\n}\n", mirror))
	bin := t.TempDir() // scripts call terraform, whatever the tested binary is called
	if err := os.Symlink(acctest.TerraformPath(t), filepath.Join(bin, "terraform")); err != nil {
		t.Fatal(err)
	}
	r.api = controlapi.New()
	planner := httptest.NewServer(r.api.Handler())
	t.Cleanup(planner.Close)
	r.env = append([]string{"HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir(), "TF_CLI_CONFIG_FILE=" + r.rc,
		"CHECKPOINT_DISABLE=1", "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"REMEDIATION_PLANNER_URL=" + planner.URL, "REMEDIATION_PLANNER_TOKEN=a-token-of-the-planner"}, env...)
	return r
}

func (r runner) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// branch is the branch of a pull request: its configuration, with its own state in what would be a remote backend.
type branch struct {
	runner
	text, state string
}

// branch returns the branch of a pull request that asks for a share of the traffic, over seconds rather than minutes.
func (r runner) branch(percent int) branch {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(acctest.Root(r.t), "examples", "ci", "remediation", "main.tf"))
	if err != nil {
		r.t.Fatal(err)
	}
	edited := strings.NewReplacer(`"10m"`, `"5s"`, "= 25\n", fmt.Sprintf("= %d\n", percent)).Replace(string(text))
	return branch{runner: r, text: edited, state: filepath.Join(r.t.TempDir(), "terraform.tfstate")}
}

// clone returns a fresh clone.
func (b branch) clone() string {
	b.t.Helper()
	dir := b.t.TempDir()
	folder := filepath.Join(dir, "remediation")
	if err := os.Mkdir(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	b.write(filepath.Join(folder, "main.tf"), b.text)
	b.write(filepath.Join(folder, "backend.tf"),
		fmt.Sprintf("terraform {\n  backend \"local\" {\n    path = %q\n  }\n}\n", b.state))
	return dir
}

// run runs a script as CI systems do, with bash -e in a folder, and returns what it printed.
func (r runner) run(dir, script string, env ...string) (string, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), stepTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, append(append([]string{}, r.env...), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// must is run for a script that has to succeed.
func (r runner) must(dir, script string, env ...string) string {
	r.t.Helper()
	out, err := r.run(dir, script, env...)
	if err != nil {
		r.t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return out
}

// artifacts copies what one job leaves to another job's clone.
func (r runner) artifacts(from, to string) {
	r.t.Helper()
	for _, name := range []string{"remediation.tfplan", ".terraform.lock.hcl"} {
		text, err := os.ReadFile(filepath.Join(from, "remediation", name))
		if err != nil {
			r.t.Fatal(err)
		}
		r.write(filepath.Join(to, "remediation", name), string(text))
	}
}

// workflow reads a YAML file of examples/.
func workflow(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(acctest.Root(t), "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
