package proc

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Terraform is what the parent process, when it is Terraform or OpenTofu, was asked to do.
type Terraform struct {
	// Session names the parent process, or is empty where it can't be told.
	Session string
	// SavedPlan tells that it applies a saved plan, so that every plan it asks for is one within an apply.
	SavedPlan bool
}

// Parent looks at the process that started this one.
func Parent() Terraform {
	parent := Identify(os.Getppid())
	if parent.Started == 0 {
		return Terraform{}
	}
	args, err := commandLine(parent.PID)
	if err != nil || len(args) == 0 {
		return Terraform{}
	}
	return Terraform{
		Session:   fmt.Sprintf("%s:%s:%d:%d", parent.Host, parent.Boot, parent.PID, parent.Started),
		SavedPlan: appliesSavedPlan(args),
	}
}

// valueFlags are the options of apply whose value may be the next argument.
var valueFlags = []string{"var", "var-file", "target", "exclude", "replace", "state", "state-out", "backup",
	"parallelism", "lock-timeout"}

// appliesSavedPlan tells whether args (program name included) is an apply with a plan file, which comes last.
func appliesSavedPlan(args []string) bool {
	rest := slices.DeleteFunc(slices.Clone(args[1:]), func(a string) bool { return strings.HasPrefix(a, "-chdir=") })
	if len(rest) < 2 || rest[0] != "apply" {
		return false
	}
	last, before := rest[len(rest)-1], strings.TrimLeft(rest[len(rest)-2], "-")
	isValue := rest[len(rest)-2] != before && slices.Contains(valueFlags, before)
	return !strings.HasPrefix(last, "-") && !isValue
}
