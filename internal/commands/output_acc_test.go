//go:build unix

package commands_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

// TestAccOutput writes approvals and reports to what is not a file, and to files that can't be written.
func TestAccOutput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key, signer := r.keygen("key")
	r.Write("main.tf", head(signed(signer))+split("canary", "25", "gradual = false"))
	r.save()
	at := func(name string) string { return filepath.Join(r.Dir, name) }
	r.Write("broken.json", "{")
	if err := os.Mkdir(at("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("elsewhere"), at("link")); err != nil {
		t.Fatal(err)
	}
	approve := []string{"approve", "plan.json", "--as", lead, "--key", key, "--out"}
	report := []string{"journal", "report", "--out"}
	for name, tt := range map[string]struct {
		command   []string
		out, says string
	}{
		"approvals to a full disk":             {approve, "/dev/full", "no space left on device"},
		"approvals to a folder":                {approve, "folder", "it is a folder"},
		"approvals through a link":             {approve, "link", "it is a link to another file"},
		"approvals to a file of another kind":  {approve, "broken.json", "it has no variables in JSON"},
		"approvals to a folder that's missing": {approve, "missing/a.json", "no such file or directory"},
		"a report to a full disk":              {report, "/dev/full", "no space left on device"},
		"a report to a folder":                 {report, "folder", "it is a folder"},
		"a report to a folder that's missing":  {report, "missing/report.html", "no such file or directory"},
	} {
		_, problems, code := r.run("y\n", append(tt.command, tt.out)...)
		if code != commands.ExitError || !strings.Contains(problems, tt.says) ||
			!strings.Contains(problems, "The output can't be written") {
			t.Errorf("%s: exit code %d\n%s", name, code, problems)
		}
		if asks := strings.Contains(problems, "[y/N]"); asks && tt.out != "/dev/full" && tt.out != "missing/a.json" {
			t.Errorf("%s: it asks before it looks at the file:\n%s", name, problems)
		}
	}
	if info, err := os.Stat("/dev/full"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Fatalf("/dev/full is not a device any more: %v, %v", info, err)
	}
	for name, command := range map[string][]string{"approvals": approve, "report": report} {
		pipe := at(name)
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		read := make(chan string)
		go func() {
			text, err := os.ReadFile(pipe)
			if err != nil {
				t.Error(err)
			}
			read <- string(text)
		}()
		if _, problems, code := r.run("y\n", append(command, pipe)...); code != commands.ExitOK {
			t.Fatalf("%s: exit code %d\n%s", name, code, problems)
		}
		if text := <-read; !strings.HasSuffix(text, "\n") && !strings.Contains(text, "</html>") {
			t.Errorf("%s through a pipe: %s", name, text)
		}
		if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			t.Errorf("%s: the pipe was replaced: %v, %v", name, info, err)
		}
	}
}

// TestAccApproveKeepsWhatTheFileHas adds approvals to a file with other variables and keeps its mode.
func TestAccApproveKeepsWhatTheFileHas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", head(approvers)+split("canary", "25", "gradual = false"))
	r.save()
	key, _ := r.keygen("key")
	r.Write("own.tfvars.json", `{"region": "eu"}`)
	if err := os.Chmod(filepath.Join(r.Dir, "own.tfvars.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, problems, code := r.run("y\n", "approve", "plan.json", "--as", lead, "--key", key, "--out",
			"own.tfvars.json"); code != commands.ExitOK {
			t.Fatalf("exit code %d\n%s", code, problems)
		}
	}
	var has struct {
		Region    string                      `json:"region"`
		Approvals map[string][]map[string]any `json:"remediation_approvals"`
	}
	info, err := os.Stat(filepath.Join(r.Dir, "own.tfvars.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := json.Unmarshal([]byte(r.file("own.tfvars.json")), &has); err != nil || has.Region != "eu" ||
		len(has.Approvals["remediation_canary_split.canary"]) != 2 {
		t.Errorf("%+v, %v", has, err)
	}
}
