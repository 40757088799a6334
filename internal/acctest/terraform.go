// Package acctest runs the provider as its users do: a real Terraform starts the built binary. If something that a test
// needs is missing, the test fails and is never skipped.
package acctest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// commandTimeout bounds one Terraform command.
const commandTimeout = 3 * time.Minute

// Root is the project's folder.
func Root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the project's folder can't be found")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// TerraformPath is the Terraform (or OpenTofu) to test with: TF_ACC_TERRAFORM_PATH, or the one on the PATH.
func TerraformPath(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("TF_ACC_TERRAFORM_PATH"); path != "" {
		return path
	}
	path, err := exec.LookPath("terraform")
	if err != nil {
		t.Fatal("terraform is not on the PATH: install it, set TF_ACC_TERRAFORM_PATH, or run make setup")
	}
	return path
}

// providerVariable names the folder with the provider's binary that the test binaries of one run share. If it is not
// set, each test binary builds one.
const providerVariable = "REMEDIATION_TEST_PROVIDER"

// built is the folder with the provider's binary.
var built = sync.OnceValues(func() (string, error) {
	if folder := os.Getenv(providerVariable); folder != "" {
		return folder, nil
	}
	return Build(".")
})

// Build builds the provider whose command is in a folder of the project, and returns the folder with the binary.
func Build(command string) (string, error) {
	path, err := BuildProgram(command, "terraform-provider-remediation")
	return filepath.Dir(path), err
}

// BuildProgram builds the command in a folder of the project, and returns the path of the binary.
func BuildProgram(command, name string) (string, error) {
	dir, err := os.MkdirTemp("", "remediation-build-")
	if err != nil {
		return "", err
	}
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(dir, name)
	cmd := exec.CommandContext(context.Background(), "go", "build", "-tags", "grpcnotrace,nethttpomithttp2",
		"-trimpath", "-ldflags", "-s -w -funcalign=16", "-o", path, command)
	cmd.Dir = filepath.Dir(filepath.Dir(filepath.Dir(file)))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as a release is built
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// Workspace is a Terraform working directory.
type Workspace struct {
	Dir       string
	t         testing.TB
	terraform string
	env       []string
	// confined makes file permissions bind the commands even where the tests run as root.
	confined bool
	// root makes the commands run as root, in a user namespace if the tests don't run as root.
	root bool
}

// NewWorkspace makes an empty working directory whose Terraform uses the built provider. env is added to the
// environment.
func NewWorkspace(t testing.TB, env ...string) *Workspace {
	t.Helper()
	return NewWorkspaceOf(t, Provider(t), env...)
}

// Provider returns the folder with the provider's binary, built as for a release.
func Provider(t testing.TB) string {
	t.Helper()
	folder, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// NewWorkspaceOf is NewWorkspace with the provider in the folder that Build returned.
func NewWorkspaceOf(t testing.TB, provider string, env ...string) *Workspace {
	t.Helper()
	w := &Workspace{Dir: t.TempDir(), t: t, terraform: TerraformPath(t)}
	rc := filepath.Join(t.TempDir(), "terraformrc")
	w.writeFile(rc, fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"applylens/remediation\" = %[1]q\n"+
		"    \"applylens/bare\" = %[1]q\n  }\n  direct {}\n}\n", provider))
	w.env = append([]string{
		"TF_CLI_CONFIG_FILE=" + rc, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + os.TempDir(),
	}, env...)
	return w
}

// Write puts a file into the working directory.
func (w *Workspace) Write(name, text string) {
	w.t.Helper()
	w.writeFile(filepath.Join(w.Dir, name), text)
}

func (w *Workspace) writeFile(path, text string) {
	w.t.Helper()
	const private = 0o600
	if err := os.WriteFile(path, []byte(text), private); err != nil {
		w.t.Fatal(err)
	}
}

// Run runs one Terraform command and returns what it printed, without the warning about development overrides, and its
// exit code.
func (w *Workspace) Run(args ...string) (string, int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), commandTimeout)
	defer cancel()
	cmd := w.Command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("terraform %v: %v", args, err)
	}
	return withoutOverrides(out.String()), cmd.ProcessState.ExitCode()
}

// Protect makes the given folders read-only for all commands that follow, until the test ends.
func (w *Workspace) Protect(dirs ...string) {
	w.t.Helper()
	w.confined = true
	for _, dir := range dirs {
		w.chmod(dir, "a-w")
		w.t.Cleanup(func() { w.chmod(dir, "u+w") })
	}
}

// Policy writes a policy that the commands that follow obey (REMEDIATION_POLICY), and returns its path. They run as
// root: a policy must not belong to the user who runs Terraform, and tests can't write a file of another user.
func (w *Workspace) Policy(text string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "policy.json")
	w.writeFile(path, text)
	w.env, w.root = append(w.env, "REMEDIATION_POLICY="+path), true
	return path
}

// Environment adds variables to the environment of the commands that follow.
func (w *Workspace) Environment(env ...string) { w.env = append(w.env, env...) }

func (w *Workspace) chmod(dir, mode string) {
	w.t.Helper()
	// Cleanups run after the test's context has ended.
	//nolint:usetesting // as above
	if out, err := exec.CommandContext(context.Background(), "chmod", "-R", mode, dir).CombinedOutput(); err != nil {
		w.t.Fatalf("chmod: %v %s", err, out)
	}
}

// Command is a Terraform command that is not started yet.
func (w *Workspace) Command(ctx context.Context, args ...string) *exec.Cmd {
	argv := append([]string{w.terraform}, args...)
	if w.confined && os.Geteuid() == 0 {
		argv = append([]string{"setpriv", "--bounding-set=-dac_override", "--"}, argv...)
	}
	if w.root && os.Geteuid() != 0 {
		argv = append([]string{"unshare", "--map-root-user", "--"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the test's own command
	cmd.Dir, cmd.Env = w.Dir, w.env
	return cmd
}

// Must runs a command that has to succeed.
func (w *Workspace) Must(args ...string) string {
	w.t.Helper()
	out, code := w.Run(args...)
	if code != 0 {
		w.t.Fatalf("terraform %v: exit code %d\n%s", args, code, out)
	}
	return out
}

// MustFail runs a command that has to fail.
func (w *Workspace) MustFail(args ...string) string {
	w.t.Helper()
	out, code := w.Run(args...)
	if code == 0 {
		w.t.Fatalf("terraform %v succeeded\n%s", args, out)
	}
	return out
}

// Attributes returns a resource's values in state.
func (w *Workspace) Attributes(address string) map[string]any {
	w.t.Helper()
	var shown struct {
		Values struct {
			RootModule struct {
				Resources []struct {
					Address string         `json:"address"`
					Values  map[string]any `json:"values"`
				} `json:"resources"`
			} `json:"root_module"`
		} `json:"values"`
	}
	if err := json.Unmarshal([]byte(w.Must("show", "-json")), &shown); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range shown.Values.RootModule.Resources {
		if r.Address == address {
			return r.Values
		}
	}
	return nil
}

// overrides is the warning that Terraform prints at each command when a provider is overridden.
var overrides = regexp.MustCompile(`(?s)(╷\n│ )?Warning: Provider development overrides are in effect.*?releases\.\n(╵\n)?`)

// withoutOverrides cuts the warning about development overrides.
func withoutOverrides(text string) string {
	return strings.TrimLeft(overrides.ReplaceAllString(text, ""), "\n")
}
