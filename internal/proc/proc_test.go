package proc

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Terraform{
		"apply reviewed.tfplan":                      {Command: "apply", PlanFile: "reviewed.tfplan"},
		"-chdir=infra apply reviewed.tfplan":         {Command: "apply", PlanFile: "reviewed.tfplan"},
		"apply -auto-approve -no-color saved.tfplan": {Command: "apply", PlanFile: "saved.tfplan"},
		"apply -parallelism 4 saved.tfplan":          {Command: "apply", PlanFile: "saved.tfplan"},
		"apply -lock-timeout=5m saved.tfplan":        {Command: "apply", PlanFile: "saved.tfplan"},
		"apply saved.tfplan -auto-approve":           {Command: "apply", PlanFile: "saved.tfplan"},
		"apply":                                      {Command: "apply"},
		"apply -auto-approve":                        {Command: "apply"},
		"apply -var a=b":                             {Command: "apply"},
		"apply --var-file prod.tfvars":               {Command: "apply"},
		"apply -target remediation_dbt_run.x":        {Command: "apply"},
		"apply -var=a=b":                             {Command: "apply"},
		"destroy -auto-approve":                      {Command: "destroy"},
		"plan -out saved.tfplan":                     {Command: "plan"},
		"test":                                       {Command: "test"},
		"":                                           {},
		"-version":                                   {},
	} {
		if got := parse(strings.Fields(line), func(string) string { return "" }); got != want {
			t.Errorf("terraform %s: %+v, want %+v", line, got, want)
		}
	}
}

// TestParseWithArgumentsFromTheEnvironment gives apply its plan file in TF_CLI_ARGS_apply or TF_CLI_ARGS, in quotes.
func TestParseWithArgumentsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ args, apply, all, want string }{
		"for apply":              {"apply", "-no-color ci.tfplan", "", "ci.tfplan"},
		"for all commands":       {"apply", "", "-no-color ci.tfplan", "ci.tfplan"},
		"in quotes":              {"apply", `-no-color "my plan.tfplan"`, "", "my plan.tfplan"},
		"with escaped blanks":    {"apply", `my\ plan.tfplan`, "", "my plan.tfplan"},
		"a quoted value":         {"apply", `-var 'name=a b' ci.tfplan`, "", "ci.tfplan"},
		"a quoted value, joined": {"apply", `-var='name=a b.tfplan'`, "", ""},
		"an option for the next": {"apply a=b.tfplan ci.tfplan", "-var", "", "ci.tfplan"},
		"in both":                {"apply ci.tfplan", "-no-color", "-input=false", "ci.tfplan"},
		"an open quote":          {"apply ci.tfplan", `"broken`, "", "ci.tfplan"},
		"in a plan":              {"plan", "ci.tfplan", "", ""},
	} {
		env := func(name string) string {
			return map[string]string{"TF_CLI_ARGS_apply": tt.apply, "TF_CLI_ARGS": tt.all}[name]
		}
		if got := parse(strings.Fields(tt.args), env); got.PlanFile != tt.want {
			t.Errorf("%s: %q, want %q", name, got.PlanFile, tt.want)
		}
	}
}

// TestSavedPlan reads a plan as Terraform writes it.
func TestSavedPlan(t *testing.T) {
	t.Parallel()
	const digest, before, undone = "sha256:aaaa", "sha256:bbbb", "sha256:cccc"
	for _, record := range []int64{7, 127, 128, 255, 256, 65535, 65536, 1 << 33} {
		path := filepath.Join(t.TempDir(), "tfplan")
		writePlan(t, path, value(record, digest), value(3, before), undone)
		plan, err := ReadPlan(path)
		if err != nil {
			t.Fatal(err)
		}
		if !plan.Names(record, digest) || !plan.Shows(digest) || !plan.Previews() {
			t.Errorf("record %d is not found", record)
		}
		if plan.Names(record+1, digest) || plan.Names(record, before) || plan.Names(3, before) ||
			plan.Names(record, "") {
			t.Errorf("record %d: the plan names what it doesn't show", record)
		}
		if !plan.Destroys(undone) || plan.Destroys(digest) || plan.Destroys(before) || plan.Destroys("") {
			t.Errorf("record %d: the plan destroys something else", record)
		}
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("encrypted"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if _, err := ReadPlan(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
}

// value is the part of a resource's value that matters, in msgpack.
func value(record int64, digest string) []byte {
	text := append([]byte("\xa6digest\xab"), digest...)
	return append(append(text, recordKey...), packed(record)...)
}

// writePlan writes a plan that updates a resource, and deletes another one, whose private data has the digest undone.
func writePlan(t *testing.T, path string, after, before []byte, undone string) {
	t.Helper()
	change := func(action uint64, values ...[]byte) []byte {
		out := protowire.AppendVarint(protowire.AppendTag(nil, fieldAction, protowire.VarintType), action)
		for _, v := range values {
			v = protowire.AppendBytes(protowire.AppendTag(nil, fieldMsgpack, protowire.BytesType), v)
			out = protowire.AppendBytes(protowire.AppendTag(out, fieldValues, protowire.BytesType), v)
		}
		return out
	}
	var plan []byte
	const update = 3
	private, err := json.Marshal(map[string][]byte{"undo_announced": []byte(`{"Digest":"` + undone + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]byte{change(update, before, after), change(actionDelete, before)} {
		c = protowire.AppendBytes(protowire.AppendTag(nil, fieldChange, protowire.BytesType), c)
		c = protowire.AppendBytes(protowire.AppendTag(c, fieldPrivate, protowire.BytesType), private)
		plan = protowire.AppendBytes(protowire.AppendTag(plan, fieldResourceChanges, protowire.BytesType), c)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	member, err := archive.Create("tfplan")
	if err == nil {
		_, err = member.Write(plan)
	}
	if err = errors.Join(err, archive.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestLiveness(t *testing.T) {
	t.Parallel()
	self := Self()
	if self.Liveness() != Alive {
		t.Errorf("this process is %v", self.Liveness())
	}
	reused := self
	reused.Started++
	if reused.Liveness() != Dead {
		t.Error("a process with another start time counts as this one")
	}
	rebooted := self
	rebooted.Boot = "another"
	if rebooted.Liveness() != Dead {
		t.Error("a process of another boot counts as this one")
	}
	elsewhere := self
	elsewhere.Host = "elsewhere"
	if elsewhere.Liveness() != Unknown {
		t.Error("a process of another host can be told")
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := Identify(cmd.Process.Pid)
	if child.Liveness() != Alive {
		t.Errorf("a running child is %v", child.Liveness())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if child.Liveness() != Dead {
		t.Errorf("an ended child is %v", child.Liveness())
	}
}
