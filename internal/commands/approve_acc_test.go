package commands_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/prometheustest"
	"github.com/applylens/terraform-provider-remediation/internal/commands"
)

const lead = "lead@example.com"

// keygen makes a key without a passphrase, and returns its file and the line of allowed_signers.
func (r rig) keygen(name string) (path, signer string) {
	r.t.Helper()
	path = filepath.Join(r.t.TempDir(), name)
	cmd := exec.CommandContext(r.t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v %s", err, out)
	}
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		r.t.Fatal(err)
	}
	return path, lead + ` namespaces="remediation" ` + strings.TrimSpace(string(public))
}

// signed is an approval block of the provider that requires signatures.
func signed(signer string) string {
	return fmt.Sprintf("  approval {\n    approvers = [%q]\n    signatures = \"required\"\n    allowed_signers = "+
		"%q\n  }", lead, signer)
}

// TestAccApprove approves a saved plan: the blocks that the command prints let apply run.
func TestAccApprove(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key, signer := r.keygen("key")
	config := func(approval string) {
		r.Write("main.tf", head(signed(signer))+split("canary", "25", "gradual = false\n  triggers = { run = \"1\" }\n"+
			"  on_destroy = \"rollback\"\n  timeouts {\n    create = \"20m\"\n  }\n"+approval))
	}
	config("")
	r.save()
	approve := []string{"approve", "plan.json", "--as", lead, "--key", key, "--ticket", "CHG-1"}
	for name, answer := range map[string]string{"no": "n\n", "nothing": "", "anything": "maybe\n"} {
		if out, _, code := r.run(answer, approve...); code != commands.ExitFinding || out != "" {
			t.Errorf("%s is taken for yes: exit code %d\n%s", name, code, out)
		}
	}
	block, asked, code := r.run("y\n", approve...)
	if code != commands.ExitOK {
		t.Fatalf("exit code %d\n%s%s", code, block, asked)
	}
	for _, want := range []string{"Changes     Traffic of v2: 10% to " +
		"25%", `"run": "1"`, `"timeout": "20m0s"`, "shown="} {
		if !strings.Contains(asked, want) {
			t.Errorf("what was signed is not shown, %q is missing:\n%s", want, asked)
		}
	}
	if !strings.HasPrefix(block, "# remediation_canary_split.canary\napproval {") {
		t.Errorf("the block:\n%s", block)
	}
	config(block)
	r.Must("apply", "-auto-approve", "-no-color")
	if all := r.history(); len(all) != 1 || all[0].ApprovedBy != lead {
		t.Errorf("history: %+v", all)
	}
	r.save()
	if out, _, code := r.run("y\n", approve...); code != commands.ExitOK || out != "" {
		t.Errorf("a plan that needs no approval: exit code %d\n%s", code, out)
	}
}

// TestAccApproveIntoAFile lets two people approve by a file of variables, one of them with a key in ssh-agent.
func TestAccApproveIntoAFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key, signer := r.keygen("key")
	other, otherSigner := r.keygen("other")
	policy := fmt.Sprintf("  approval {\n    minimum = 2\n    signatures = \"required\"\n    allowed_signers = %q\n  }",
		signer+"\n"+strings.Replace(otherSigner, lead, "boss@example.com", 1))
	r.Write("main.tf", head(policy)+`
variable "remediation_approvals" {
  type    = map(list(object({ approved_by = string, signature = string, ticket = optional(string) })))
  default = {}
}
`+split("canary", "25", `gradual = false
  dynamic "approval" {
    for_each = lookup(var.remediation_approvals, "remediation_canary_split.canary", [])
    content {
      approved_by = approval.value.approved_by
      signature   = approval.value.signature
      ticket      = approval.value.ticket
    }
  }`))
	r.save()
	const file = "approvals.auto.tfvars.json"
	out, problems, code := r.run("yes\n", "approve", "plan.json", "--as", lead, "--key", key, "--out", file)
	if code != 0 || out != "" {
		t.Fatalf("exit code %d\n%s%s", code, out, problems)
	}
	r.env = append(r.env, "SSH_AUTH_SOCK="+r.agent(other))
	if out, problems, code := r.run("y\n", "approve", "plan.json", "--as", "boss@example.com", "--key", other+".pub",
		"--out", file); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, problems)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	if all := r.history(); len(all) != 1 || all[0].ApprovedBy != lead+", boss@example.com" {
		t.Errorf("history: %+v", all)
	}
}

// agent starts an ssh-agent that holds a key, removes the key's file, and returns the agent's socket.
func (r rig) agent(key string) string {
	r.t.Helper()
	socket := filepath.Join(r.t.TempDir(), "agent")
	cmd := exec.CommandContext(r.t.Context(), "ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it ends with the test's context anyway
	add := exec.CommandContext(r.t.Context(), "sh", "-c",
		`for i in $(seq 100); do ssh-add "$0" && exit; sleep 0.1; done; exit 1`, key)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := add.CombinedOutput(); err != nil {
		r.t.Fatalf("%v %s", err, out)
	}
	if err := os.Remove(key); err != nil {
		r.t.Fatal(err)
	}
	return socket
}

// TestAccApproveByName prints the name with the digest, which counts without a signature.
func TestAccApproveByName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := func(percent, more string) {
		r.Write("main.tf", head(approvers)+split("canary", percent, "gradual = false\n"+more))
	}
	config("15", "approved_by = \""+lead+"\"")
	r.Must("apply", "-auto-approve", "-no-color")
	config("25", "approved_by = \""+lead+"\"")
	r.MustFail("apply", "-auto-approve", "-no-color")
	r.save()
	block, problems, code := r.run("y\n", "approve", "plan.json", "--as", lead, "--name-only")
	if code != commands.ExitOK || !strings.Contains(block, "expected_digest = ") {
		t.Fatalf("exit code %d\n%s%s", code, block, problems)
	}
	// A reference needs a block.
	withTicket, problems, code := r.run("y\n", "approve", "plan.json", "--as", lead, "--name-only", "--ticket", "CHG-7")
	if code != commands.ExitOK || !strings.Contains(withTicket, "expected_digest = ") ||
		!strings.Contains(withTicket, `"CHG-7"`) {
		t.Fatalf("exit code %d\n%s%s", code, withTicket, problems)
	}
	config("25", withTicket)
	r.save()
	if _, problems, code := r.run("", "approve", "plan.json", "--as", lead); code != commands.ExitOK ||
		problems != "There is nothing to approve.\n" {
		t.Errorf("approved already: exit code %d\n%s", code, problems)
	}
	r.Must("apply", "-auto-approve", "-no-color")
	if all := r.history(); all[len(all)-1].ApprovedBy != lead {
		t.Errorf("history: %+v", all)
	}
}

// TestAccApproveRefusesWhatThePlanDoesNotShow edits a plan in every place that a signature relies on.
func TestAccApproveRefusesWhatThePlanDoesNotShow(t *testing.T) {
	t.Parallel()
	prometheus := prometheustest.Start(t)
	r := newRig(t)
	key, signer := r.keygen("key")
	r.Write("main.tf", head(signed(signer)+"\n  prometheus { url = \""+prometheus.URL+"\" }")+split("canary", "25",
		"gradual = false\n  triggers = { run = \"1\" }\n  guardrail {\n    name = \"errors\"\n    query = "+
			"\"vector(0)\"\n"+
			"    max = 0.1\n  }"))
	r.save()
	plan := r.file("plan.json")
	approve := func(text string, more ...string) (string, string, int) {
		r.Write("edited.json", text)
		return r.run("y\n", append([]string{"approve", "edited.json", "--as", lead, "--key", key}, more...)...)
	}
	if _, problems, code := approve(plan); code != commands.ExitOK {
		t.Fatalf("the plan as it is: exit code %d\n%s", code, problems)
	}
	const differs = "has the digest"
	digest := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(plan)
	for name, c := range map[string]struct{ old, new, want string }{
		"an input":         {`"target_percent":25,"timeouts"`, `"target_percent":26,"timeouts"`, differs},
		"a trigger":        {`"triggers":{"run":"1"}`, `"triggers":{"run":"2"}`, differs},
		"a guardrail":      {`"max":0.1`, `"max":0.9`, differs},
		"the command":      {`"command":"write planner.json: v1 75%`, `"command":"write planner.json: v1 5%`, differs},
		"the target":       {`"target":"planner:`, `"target":"other:`, differs},
		"the undo":         {`{\"action_type\":\"adjust_`, `{\"action_type\":\"other_`, differs},
		"the content":      {`"content":"`, `"content":"0`, differs},
		"the digest":       {digest, "sha256:" + strings.Repeat("0", 64), differs},
		"the text":         {"Traffic of v2: 10% to 25%", "Traffic of v2: 10% to 12%", "its text is not the dry run"},
		"the payload":      {`"approval_payload":"remediation`, `"approval_payload":"other`, "its payload is not the one"},
		"another dry run":  {`"record":1`, `"record":7`, "the journal has no dry run 7"},
		"a reused payload": {`-1","approval_reasons"`, `-9","approval_reasons"`, "its payload is not the one of the dry run"},
		"a hidden dry run": {`"dry_run":"1st`, `"dry_run":"","x":"1st`, "no dry run"},
		"an unknown input": {`"triggers":{}`, `"triggers":true`, "not known before apply"},
	} {
		edited := strings.ReplaceAll(plan, c.old, c.new)
		if edited == plan {
			t.Errorf("%s: the plan has no %q", name, c.old)
			continue
		}
		out, problems, code := approve(edited)
		if code != commands.ExitFinding || out != "" || !strings.Contains(flat(problems), c.want) {
			t.Errorf("%s: exit code %d, want %q\n%s%s", name, code, c.want, out, problems)
		}
	}
	if out, problems, code := approve(strings.ReplaceAll(plan, "10% to 25%", "10% to "+
		"12%"), "--without-journal"); code != 0 {
		t.Errorf("without the journal: exit code %d\n%s%s", code, out, problems)
	}
	r.ok("journal", "adopt", "--journal", "other.db", "--name=ann", "--because=a journal without the dry run")
	if _, problems, code := approve(plan, "--journal", "other.db"); code != commands.ExitFinding ||
		!strings.Contains(problems, "the journal has no dry run") {
		t.Errorf("another journal: exit code %d\n%s", code, problems)
	}
	if _, problems, code := r.run(plan, "approve", "-", "--as", lead); code != commands.ExitUsage {
		t.Errorf("a plan on standard input: exit code %d\n%s", code, problems)
	}
	if _, problems, code := r.run("", "approve", "plan.json"); code != commands.ExitUsage {
		t.Errorf("without a name: exit code %d\n%s", code, problems)
	}
	_, problems, code := r.run("y\n", "approve", "plan.json", "--as", lead, "--key", "absent")
	if code != commands.ExitError || !strings.Contains(problems, "could not be signed") {
		t.Errorf("without a key: exit code %d\n%s", code, problems)
	}
}

// TestAccApproveAsJSON gives other programs what was approved.
func TestAccApproveAsJSON(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key, signer := r.keygen("key")
	r.Write("main.tf", head(signed(signer))+split("canary", "25", "gradual = false"))
	r.save()
	out, problems, code := r.run("y\n", "approve", "plan.json", "--as", lead, "--key", key, "--json")
	var done []struct {
		Address, Digest, Signature string
		By                         string `json:"approved_by"`
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(out))).Decode(&done); err != nil || code != 0 || len(done) != 1 ||
		done[0].By != lead || !strings.Contains(done[0].Signature, "BEGIN SSH SIGNATURE") {
		t.Errorf("%v, exit code %d\n%s%s", err, code, out, problems)
	}
}

// TestAccApproveUndo signs the undo of a destroy. The JSON of the plan doesn't contain it, so the command takes it from
// the journal.
func TestAccApproveUndo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key, signer := r.keygen("key")
	config := func(approval string) {
		r.Write("main.tf", head(signed(signer))+
			split("canary", "5", "gradual = false\n  on_destroy = \"rollback\"\n"+approval))
	}
	config("")
	r.Must("apply", "-auto-approve", "-no-color")
	approve := []string{"approve", "plan.json", "--as", lead, "--key", key}
	r.save("-destroy")
	if out, problems, code := r.run("y\n", append(approve, "--without-journal")...); code != commands.ExitFinding ||
		out != "" || !strings.Contains(problems, "which only the journal shows") {
		t.Errorf("without a journal: exit code %d\n%s%s", code, out, problems)
	}
	block, asked, code := r.run("y\n", approve...)
	if code != commands.ExitOK || !strings.Contains(block, "approval {") || !strings.Contains(block, "# Its undo") {
		t.Fatalf("exit code %d\n%s%s", code, block, asked)
	}
	for _, want := range []string{"Traffic of v2: 5% to 10%", "its destroy undoes execution", `"undo_of_execution": "`,
		"remediation-approval-v2 adjust_canary_split planner:file:"} {
		if !strings.Contains(asked, want) {
			t.Errorf("what was signed is not shown, %q is missing:\n%s", want, asked)
		}
	}
	if out := flat(r.MustFail("destroy", "-auto-approve", "-no-color")); !strings.Contains(out, "needs an approval") {
		t.Errorf("a destroy that nobody approved:\n%s", out)
	}
	config(block)
	r.Must("apply", "-auto-approve", "-no-color")
	r.save("-destroy")
	if out, _, code := r.run("", approve...); code != commands.ExitOK || out != "" {
		t.Errorf("an undo that is approved already: exit code %d\n%s", code, out)
	}
	r.Must("destroy", "-auto-approve", "-no-color")
	if share := r.share(); share != 10 {
		t.Errorf("v2 has %g%% of the traffic", share)
	}
}
