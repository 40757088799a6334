package proc

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Terraform is the command of the parent process, if that is Terraform or OpenTofu.
type Terraform struct {
	// Session identifies the parent process. It is empty if the system doesn't tell.
	Session string
	// Command is the subcommand, such as "plan", "apply", "destroy" or "test". Empty if unknown.
	Command string
	// PlanFile is the path of the saved plan that an apply was given, or empty.
	PlanFile string
}

// Applies reports whether the parent runs apply, with or without a saved plan, or destroy.
func (t Terraform) Applies() bool { return t.Command == "apply" || t.Command == "destroy" }

// Parent reads the command of the process that started this one. getenv returns environment variables: Terraform adds
// the arguments in TF_CLI_ARGS and TF_CLI_ARGS_apply to its own.
func Parent(getenv func(string) string) Terraform {
	parent := Identify(os.Getppid())
	if parent.Started == 0 {
		return Terraform{}
	}
	args, err := commandLine(parent.PID)
	if err != nil || len(args) == 0 {
		return Terraform{}
	}
	t := parse(args[1:], getenv)
	t.Session = fmt.Sprintf("%s:%s:%d:%d", parent.Host, parent.Boot, parent.PID, parent.Started)
	return t
}

// parse returns the subcommand and, for an apply, the plan file.
func parse(args []string, getenv func(string) string) Terraform {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-chdir=") })
	i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	if i < 0 {
		return Terraform{}
	}
	t := Terraform{Command: args[i]}
	if t.Command != "apply" {
		return t
	}
	// Terraform puts the arguments from the environment before those from the command line.
	t.PlanFile = planFile(slices.Concat(words(getenv("TF_CLI_ARGS_apply")), words(getenv("TF_CLI_ARGS")), args[i+1:]))
	return t
}

// valueFlags are the options of apply whose value may be the next argument.
var valueFlags = []string{"var", "var-file", "target", "exclude", "replace", "state", "state-out", "backup",
	"parallelism", "lock-timeout"}

// planFile returns the first argument of an apply that is neither an option nor the value of one, or "".
func planFile(args []string) string {
	for i, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		if i > 0 {
			option := strings.TrimLeft(args[i-1], "-")
			if option != args[i-1] && slices.Contains(valueFlags, option) {
				continue
			}
		}
		return a
	}
	return ""
}
