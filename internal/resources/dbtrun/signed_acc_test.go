package dbtrun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sshKeygen runs the real ssh-keygen with input on its standard input and returns what it prints.
func sshKeygen(t *testing.T, input string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Fatal("ssh-keygen is not on the PATH: install OpenSSH's client")
	}
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // the test's own command
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ssh-keygen %v: %v\n%s", args, err, errs.String())
	}
	return out.String()
}

// newKey makes a key and returns its file and its public half.
func newKey(t *testing.T, kind string) (path, public string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	sshKeygen(t, "", "-q", "-t", kind, "-N", "", "-C", "a comment", "-f", path)
	text, err := os.ReadFile(path + ".pub") //nolint:gosec // the test's own file
	if err != nil {
		t.Fatal(err)
	}
	return path, strings.TrimSpace(string(text))
}

// signedBy is an element of approvals, as an approver makes it from the payload that the plan shows.
func signedBy(t *testing.T, who, keyFile, payload string) string {
	t.Helper()
	signature := sshKeygen(t, payload, "-Y", "sign", "-n", "remediation", "-f", keyFile)
	return "{ approved_by = \"" + who + "\", ticket = \"CHG-7\", signature = <<-EOT\n" + signature + "EOT\n}"
}

// TestAccSignedApproval is the whole flow: plan, sign with ssh-keygen, plan again, apply, and each attempt to get around it.
func TestAccSignedApproval(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bossKey, bossPublic := newKey(t, "ed25519")
	leadKey, leadPublic := newKey(t, "ecdsa")
	r.Write("allowed_signers", "boss@example.com namespaces=\"remediation\" "+bossPublic+"\nlead@example.com "+leadPublic+"\n")
	policy := `approval = {
    approvers  = ["*@example.com"], minimum = 2, max_age = "1h"
    signatures = "required", allowed_signers = file("allowed_signers")
    separation_of_duties = true, requester = "author@example.com"
  }`
	write := func(more string) { r.Write("main.tf", config(policy, "full_refresh = true\n  "+more)) }
	payload := func() string {
		t.Helper()
		r.Must("plan", "-no-color", "-out=p.tfplan")
		return r.planned(t, "p.tfplan", "approval_payload")
	}

	write("")
	out := flat(r.Must("plan", "-no-color"))
	text := payload()
	for _, want := range []string{"Approval needed", "0 of 2 people have approved it", "ssh-keygen -Y sign -n remediation", "*@example.com"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan doesn't teach %q:\n%s", want, out)
		}
	}
	boss, lead := signedBy(t, "boss@example.com", bossKey, text), signedBy(t, "lead@example.com", leadKey, text)
	for name, attempt := range map[string]struct{ approvals, says string }{
		"a name alone":           {`approved_by = "boss@example.com"`, "it is not signed"},
		"one of two":             {"approvals = [" + boss + "]", "1 of 2 people have approved it"},
		"one key for two people": {"approvals = [" + boss + ", " + signedBy(t, "lead@example.com", bossKey, text) + "]", "belongs to boss@example.com"},
		"an edited payload":      {"approvals = [" + lead + ", " + signedBy(t, "boss@example.com", bossKey, text+"0") + "]", "its signature is for something else"},
	} {
		write(attempt.approvals)
		if out := r.MustFail("apply", "-auto-approve", "-no-color"); !strings.Contains(flat(out), attempt.says) || !strings.Contains(flat(out), "Nothing has run") {
			t.Errorf("%s: the refusal lacks %q:\n%s", name, attempt.says, out)
		}
	}
	if _, err := os.Stat(r.project.Warehouse); !os.IsNotExist(err) {
		t.Errorf("the warehouse was touched: %v", err)
	}

	approvals := "approvals = [" + boss + ", " + lead + "]"
	write(approvals)
	out = flat(r.Must("plan", "-no-color", "-out=approved.tfplan"))
	if strings.Contains(out, "Approval needed") || !strings.Contains(out, "given by boss@example.com, lead@example.com") {
		t.Errorf("the plan doesn't show the approvals:\n%s", out)
	}
	r.Must("apply", "-no-color", "approved.tfplan")
	if status, history := r.status(t); status != "success" || len(history) != 1 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.empty(t)

	// Replay: the same approvals, for the same change once more.
	r.Must("state", "rm", address)
	if out := flat(r.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out, "its signature was used by execution") {
		t.Errorf("a replay:\n%s", out)
	}
	next := payload()
	if next == text || !strings.HasPrefix(next, text+" after=") {
		t.Errorf("the next payload is %q, after %q", next, text)
	}
	write("approvals = [" + signedBy(t, "boss@example.com", bossKey, next) + ", " + signedBy(t, "lead@example.com", leadKey, next) + "]")
	r.Must("apply", "-auto-approve", "-no-color")
}

// TestAccCertificate has the approver's key vouched for by an authority, as ssh-keygen makes it.
func TestAccCertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authority, public := newKey(t, "ed25519")
	keyFile, _ := newKey(t, "ed25519")
	sshKeygen(t, "", "-q", "-s", authority, "-I", "boss", "-n", "boss@example.com", "-V", "-5m:+1h", keyFile+".pub")
	r.Write("allowed_signers", "*@example.com cert-authority,namespaces=\"remediation\" "+public+"\n")
	policy := `approval = { signatures = "required", allowed_signers = file("allowed_signers") }`
	r.Write("main.tf", config(policy, "full_refresh = true"))
	r.Must("plan", "-no-color", "-out=p.tfplan")
	text := r.planned(t, "p.tfplan", "approval_payload")
	r.Write("main.tf", config(policy, "full_refresh = true\n  approvals = ["+signedBy(t, "boss@example.com", keyFile+"-cert.pub", text)+"]"))
	r.Must("apply", "-auto-approve", "-no-color")
	if values := r.Attributes(address); values["history"] == nil || !strings.Contains(flat(r.Must("show", "-no-color")), `approved_by = "boss@example.com"`) {
		t.Errorf("history %v", values["history"])
	}
}

// TestAccRunIfKnownOnlyAtApply has what decides whether anything runs become known when nobody reviews any more.
func TestAccRunIfKnownOnlyAtApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", "full_refresh = true\n  run_if = terraform_data.wish.output == \"yes\"")+
		"\nresource \"terraform_data\" \"wish\" {\n  input = \"yes\"\n}\n")
	if out := r.MustFail("apply", "-auto-approve", "-no-color"); !strings.Contains(flat(out), "needs an approval") {
		t.Errorf("the refusal:\n%s", out)
	}
	if _, err := os.Stat(r.project.Warehouse); !os.IsNotExist(err) {
		t.Errorf("the warehouse was touched: %v", err)
	}
}

// planned returns a text of the preview in a saved plan.
func (r rig) planned(t *testing.T, file, name string) string {
	t.Helper()
	return plannedText(t, r.Must("show", "-json", file), name)
}

func plannedText(t *testing.T, shown, name string) string {
	t.Helper()
	var plan struct {
		Changes []struct {
			Address string `json:"address"`
			Change  struct {
				After struct {
					Preview map[string]any `json:"preview"`
				} `json:"after"`
			} `json:"change"`
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(shown), &plan); err != nil {
		t.Fatal(err)
	}
	for _, c := range plan.Changes {
		if text, ok := c.Change.After.Preview[name].(string); ok && c.Address == address {
			return text
		}
	}
	t.Fatalf("the plan has no preview.%s", name)
	return ""
}
