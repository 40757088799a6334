package dbtrun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
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

// signedBy is an approval block, as an approver makes it from the payload that the plan shows.
func signedBy(t *testing.T, who, keyFile, payload string) string {
	t.Helper()
	signature := sshKeygen(t, payload, "-Y", "sign", "-n", "remediation", "-f", keyFile)
	return "\n  approval {\n    approved_by = \"" + who + "\"\n    ticket = \"CHG-7\"\n    signature = <<-EOT\n" +
		signature +
		"EOT\n  }\n"
}

// TestAccSignedApproval is the whole flow: plan, sign with ssh-keygen, plan again, apply, and each attempt to get
// around it.
func TestAccSignedApproval(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	bossKey, bossPublic := newKey(t, "ed25519")
	leadKey, leadPublic := newKey(t, "ecdsa")
	r.Write("allowed_signers",
		"boss@example.com namespaces=\"remediation\" "+bossPublic+"\nlead@example.com "+leadPublic+"\n")
	policy := `approval {
  approvers            = ["*@example.com"]
  minimum              = 2
  max_age              = "1h"
  signatures           = "required"
  allowed_signers      = file("allowed_signers")
  separation_of_duties = true
  requester            = "author@example.com"
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
	for _, want := range []string{"Approval needed", "0 of 2 people have approved it",
		"ssh-keygen -Y sign -n remediation", "*@example.com"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan doesn't teach %q:\n%s", want, out)
		}
	}
	boss, lead := signedBy(t, "boss@example.com", bossKey, text), signedBy(t, "lead@example.com", leadKey, text)
	for name, attempt := range map[string]struct{ approvals, says string }{
		"a name alone": {`approved_by = "boss@example.com"`, "it is not signed"},
		"one of two":   {boss, "1 of 2 people have approved it"},
		"one key for two people": {boss + signedBy(t, "lead@example.com", bossKey, text),
			"belongs to boss@example.com"},
		"an edited payload": {lead + signedBy(t, "boss@example.com", bossKey, text+"0"),
			"its signature is for something else"},
	} {
		write(attempt.approvals)
		if out := r.MustFail("apply", "-auto-approve", "-no-color"); !strings.Contains(flat(out), attempt.says) ||
			!strings.Contains(flat(out), "Nothing has run") {
			t.Errorf("%s: the refusal lacks %q:\n%s", name, attempt.says, out)
		}
	}
	if _, err := os.Stat(r.project.Warehouse); !os.IsNotExist(err) {
		t.Errorf("the warehouse was touched: %v", err)
	}

	approvals := boss + lead
	write(approvals)
	out = flat(r.Must("plan", "-no-color", "-out=approved.tfplan"))
	if strings.Contains(out, "Approval needed") || !strings.Contains(out,
		"given by boss@example.com, lead@example.com") {
		t.Errorf("the plan doesn't show the approvals:\n%s", out)
	}
	r.Must("apply", "-no-color", "approved.tfplan")
	verifyKept(t, r)
	if status, history := r.status(t); status != "success" || len(history) != 1 {
		t.Errorf("status %q, %d executions", status, len(history))
	}
	r.empty(t)

	// Replay: the same approvals, for the same change once more.
	r.Must("state", "rm", address)
	if out := flat(r.MustFail("apply", "-auto-approve", "-no-color")); !strings.Contains(out,
		"its signature was used by execution") {
		t.Errorf("a replay:\n%s", out)
	}
	next := payload()
	if before, _, _ := strings.Cut(text, " shown="); next == text || !strings.HasPrefix(next, before+" shown=") {
		t.Errorf("the next payload is %q, after %q", next, text)
	}
	write(signedBy(t, "boss@example.com", bossKey, next) + signedBy(t, "lead@example.com", leadKey, next))
	r.Must("apply", "-auto-approve", "-no-color")
}

// verifyKept verifies what the journal kept of the approvals with ssh-keygen alone, as the guide says.
func verifyKept(t *testing.T, r rig) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(r.Dir, ".remediation", "journal.db"), clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	found, err := store.Find(t.Context(), journal.Filter{})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d executions, %v", len(found), err)
	}
	var kept []approval.Used
	if err := json.Unmarshal(found[0].Intent.Approvals, &kept); err != nil || len(kept) != 2 {
		t.Fatalf("kept %s, %v", found[0].Intent.Approvals, err)
	}
	for _, a := range kept {
		r.Write("signature.sig", a.Signature)
		sshKeygen(t, a.Signed, "-Y", "verify", "-n", "remediation", "-f", filepath.Join(r.Dir, "allowed_signers"), "-I",
			a.By,
			"-s", filepath.Join(r.Dir, "signature.sig"))
	}
}

// TestAccCertificate has the approver's key vouched for by an authority, as ssh-keygen makes it.
func TestAccCertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	authority, public := newKey(t, "ed25519")
	keyFile, _ := newKey(t, "ed25519")
	sshKeygen(t, "", "-q", "-s", authority, "-I", "boss", "-n", "boss@example.com", "-V", "-5m:+1h", keyFile+".pub")
	r.Write("allowed_signers", "*@example.com cert-authority,namespaces=\"remediation\" "+public+"\n")
	policy := `approval {
  signatures      = "required"
  allowed_signers = file("allowed_signers")
}`
	r.Write("main.tf", config(policy, "full_refresh = true"))
	r.Must("plan", "-no-color", "-out=p.tfplan")
	text := r.planned(t, "p.tfplan", "approval_payload")
	r.Write("main.tf", config(policy, "full_refresh = true\n  "+signedBy(t, "boss@example.com",
		keyFile+"-cert.pub", text)))
	r.Must("apply", "-auto-approve", "-no-color")
	if values := r.Attributes(address); values["history"] == nil ||
		!strings.Contains(flat(r.Must("show", "-no-color")), `approved_by = "boss@example.com"`) {
		t.Errorf("history %v", values["history"])
	}
}

// TestAccRunIfKnownOnlyAtApply uses a run_if that becomes known only after the review.
func TestAccRunIfKnownOnlyAtApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", "full_refresh = true\n  run_if = terraform_data.input.output == \"yes\"")+
		"\nresource \"terraform_data\" \"input\" {\n  input = \"yes\"\n}\n")
	if out := r.MustFail("apply", "-auto-approve", "-no-color"); !strings.Contains(flat(out), "needs an approval") {
		t.Errorf("the refusal:\n%s", out)
	}
	if _, err := os.Stat(r.project.Warehouse); !os.IsNotExist(err) {
		t.Errorf("the warehouse was touched: %v", err)
	}
}

// TestAccDigestIsComputedFromThePlan computes the digest from only what a plan shows, with the second implementation.
// upstream is at its default, so it counts as not set.
func TestAccDigestIsComputedFromThePlan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Write("main.tf", config("", `full_refresh = true
  upstream   = false
  threads    = 3
  triggers   = { run = "2" }
  on_destroy = "keep"
  timeouts { create = "30m" }`))
	r.Must("plan", "-no-color", "-out=p.tfplan")
	after := plannedAfter(t, r.Must("show", "-json", "p.tfplan"))
	preview, _ := after["preview"].(map[string]any)
	command, _ := preview["command"].(string)
	subject, err := json.Marshal(map[string]any{
		"playbook": "rerun_dbt", "target": preview["target"], "triggers": after["triggers"],
		"inputs": map[string]any{"models": after["models"], "full_refresh": after["full_refresh"],
			"threads": after["threads"]},
		"commands": strings.Split(command, "\n"), "identity": preview["identity"], "content": preview["content"],
		"safety": map[string]any{"guardrails": after["guardrail"], "timeout": "30m0s", "on_destroy": after["on_destroy"],
			"undo": preview["undo"]},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Write("subject.json", string(subject))
	verifier := filepath.Join(acctest.Root(t), "tools", "verify_digest.py")
	cmd := exec.CommandContext(t.Context(), "python3", verifier, filepath.Join(r.Dir, "subject.json"))
	out, err := cmd.Output()
	want := strings.TrimSpace(string(out))
	if err != nil || preview["digest"] != want {
		t.Errorf("the plan shows %v, the specification gives %s for %s (%v)", preview["digest"], want, subject, err)
	}
	line := approval.Payload("rerun_dbt", fmt.Sprint(preview["target"]), want, "")
	if !strings.HasPrefix(fmt.Sprint(preview["approval_payload"]), line) {
		t.Errorf("payload %v, want %s", preview["approval_payload"], line)
	}
}

// planned returns a text of the preview in a saved plan.
func (r rig) planned(t *testing.T, file, name string) string {
	t.Helper()
	return plannedText(t, r.Must("show", "-json", file), name)
}

func plannedText(t *testing.T, shown, name string) string {
	t.Helper()
	preview, _ := plannedAfter(t, shown)["preview"].(map[string]any)
	text, ok := preview[name].(string)
	if !ok {
		t.Fatalf("the plan has no preview.%s", name)
	}
	return text
}

// plannedAfter reads the planned values of the resource in a plan as JSON.
func plannedAfter(t *testing.T, shown string) map[string]any {
	t.Helper()
	var plan struct {
		Changes []struct {
			Address string `json:"address"`
			Change  struct {
				After map[string]any `json:"after"`
			} `json:"change"`
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal([]byte(shown), &plan); err != nil {
		t.Fatal(err)
	}
	for _, c := range plan.Changes {
		if c.Address == address {
			return c.Change.After
		}
	}
	t.Fatal("the plan has no such resource")
	return nil
}
