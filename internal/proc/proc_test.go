package proc

import (
	"os/exec"
	"strings"
	"testing"
)

func TestAppliesSavedPlan(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"terraform apply reviewed.tfplan":                      true,
		"terraform -chdir=infra apply reviewed.tfplan":         true,
		"terraform apply -auto-approve -no-color saved.tfplan": true,
		"terraform apply -parallelism 4 saved.tfplan":          true,
		"terraform apply -lock-timeout=5m saved.tfplan":        true,
		"tofu apply saved.tfplan":                              true,
		"terraform apply":                                      false,
		"terraform apply -auto-approve":                        false,
		"terraform apply -var a=b":                             false,
		"terraform apply -var-file prod.tfvars":                false,
		"terraform apply --var-file prod.tfvars":               false,
		"terraform apply -target remediation_dbt_run.x":        false,
		"terraform apply -var=a=b":                             false,
		"terraform plan -out saved.tfplan":                     false,
		"terraform plan apply":                                 false,
		"terraform":                                            false,
		"terragrunt run-all apply":                             false,
	}
	for line, want := range tests {
		if got := appliesSavedPlan(strings.Fields(line)); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
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
