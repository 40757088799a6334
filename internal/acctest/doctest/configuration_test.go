package doctest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// required is the configuration that a block of the documentation needs around it.
const required = `terraform {
  required_providers {
    remediation = { source = "applylens/remediation" }
  }
}
`

// TestAccConfigurationsValidate validates every block of Terraform code, because readers paste them.
func TestAccConfigurationsValidate(t *testing.T) {
	t.Parallel()
	signers, signature := signed(t)
	for _, b := range blocks(t, "hcl", "terraform") {
		t.Run(fmt.Sprintf("%s:%d", b.page, b.line), func(t *testing.T) {
			t.Parallel()
			w := acctest.NewWorkspace(t)
			text := b.text
			if !strings.Contains(text, "required_providers") {
				text = required + text
			}
			w.Write("main.tf", text)
			w.Write("allowed_signers", signers)
			w.Write("approval.sig", signature)
			w.Must("validate", "-no-color")
			if out, code := w.Run("fmt", "-check", "-diff", "-no-color"); code != 0 {
				t.Errorf("not formatted:\n%s", out)
			}
		})
	}
}

// signed returns a signer in the format of allowed_signers, and a signature that they made. ssh-keygen makes both.
func signed(t *testing.T) (signers, signature string) {
	t.Helper()
	dir := t.TempDir()
	key, message := filepath.Join(dir, "key"), filepath.Join(dir, "message")
	if err := os.WriteFile(message, []byte("message"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key},
		{"-q", "-Y", "sign", "-n", "remediation", "-f", key, message},
	} {
		if out, err := exec.CommandContext(t.Context(), "ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(message + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	return `boss@example.com namespaces="remediation" ` + string(public), string(text)
}

// TestShellBlocksParse lets bash read every shell block without running it.
func TestShellBlocksParse(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t, "sh", "shell", "bash") {
		cmd := exec.CommandContext(t.Context(), "bash", "-n")
		cmd.Stdin = strings.NewReader(b.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s:%d: %v\n%s", b.page, b.line, err, out)
		}
	}
}

// request is the first line of a request in the style of Kibana's console.
var request = regexp.MustCompile(`^(GET|PUT|POST|DELETE) /\S*\n`)

// TestDataBlocksParse reads every block of JSON and YAML, and the bodies of requests.
func TestDataBlocksParse(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t, "json", "yaml", "console") {
		var into any
		var err error
		switch {
		case b.language == "yaml":
			err = yaml.Unmarshal([]byte(b.text), &into)
		case b.language == "json":
			err = json.Unmarshal([]byte(b.text), &into)
		case request.MatchString(b.text):
			err = json.Unmarshal([]byte(request.ReplaceAllString(b.text, "")), &into)
		}
		if err != nil {
			t.Errorf("%s:%d: %v", b.page, b.line, err)
		}
	}
}
