// Package commands has the commands for people, in the binary that is also the provider: review, approve, and journal.
package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mitchellh/go-wordwrap"
	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Exit codes of every command.
const (
	ExitOK = 0
	// ExitError is a failure: a file that can't be read, a journal that can't be opened.
	ExitError = 1
	// ExitUsage is an unknown command or flag, or a missing argument.
	ExitUsage = 2
	// ExitFinding is the answer "no": the journal is damaged, an approval is missing, a plan was not approved.
	ExitFinding = 3
)

// helpWidth is the width of the text that explains a command, in characters.
const helpWidth = 100

// program is the name of the binary.
const program = "terraform-provider-remediation"

// Environment contains the streams and environment variables that a command uses.
type Environment struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv returns an environment variable, or "".
	Getenv func(string) string
}

// command is one command.
type command struct {
	// name is what is typed, such as "journal verify". args describes its arguments.
	name, args string
	// summary is one line without a period. help is more, in sentences.
	summary, help string
	// exits describes when ExitFinding is returned, or is empty if it never is.
	exits string
	// bind declares the flags and returns the function that runs with the remaining arguments.
	bind func(*pflag.FlagSet) func(ctx context.Context, env Environment, args []string) error
}

// errFinding is returned when the answer is "no", for example because a journal is broken, and has already been
// printed.
var errFinding = errors.New("finding")

// usageError is a mistake in the command line.
type usageError struct{ why string }

func (e usageError) Error() string { return e.why }

func all() []command {
	return append([]command{reviewCommand(), approveCommand()}, journalCommands()...)
}

// Is reports whether the arguments of the process are a command for people. Terraform starts the provider without
// arguments.
func Is(args []string) bool {
	if len(args) == 0 {
		return false
	}
	first := args[0]
	return !strings.HasPrefix(first, "-") || first == "-h" || first == "-help" || first == "--help" ||
		first == "-version" || first == "--version"
}

// Run runs the command that the arguments name, and returns its exit code.
func Run(ctx context.Context, env Environment, version string, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || strings.TrimLeft(args[0], "-") == "help" {
		return help(env, args)
	}
	if strings.TrimLeft(args[0], "-") == "version" {
		say(env.Stdout, "%s %s\n", program, version)
		return ExitOK
	}
	c, rest, ok := find(args)
	if !ok {
		return unknown(env, args)
	}
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	run := c.bind(flags)
	err := flags.Parse(rest)
	if errors.Is(err, pflag.ErrHelp) {
		c.usage(env.Stdout, flags)
		return ExitOK
	}
	if err != nil {
		err = usageError{flagProblem(err)}
	} else {
		err = run(ctx, env, flags.Args())
	}
	return exit(env, c, err)
}

// exit reports an error and returns the exit code for it.
func exit(env Environment, c command, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		say(env.Stderr, "Error: %s\n\nUsage: %s %s %s\nSee %s %s --help.\n", usage.why, program, c.name,
			c.args, program, c.name)
		return ExitUsage
	case errors.Is(err, errFinding):
		return ExitFinding
	default:
		p := problem.Of(err, "The command "+c.name+" failed")
		say(env.Stderr, "Error: %s\n\n%s\n", p.What, p.Detail())
		return ExitError
	}
}

// flagProblem describes a flag that can't be parsed, without the names of Go's functions.
func flagProblem(err error) string {
	why, function, ok := strings.Cut(err.Error(), ": strconv.")
	switch {
	case !ok:
		return why
	case strings.HasPrefix(function, "ParseBool"):
		return why + ": expected true or false"
	default:
		return why + ": expected a whole number"
	}
}

// find returns the command whose name args begin with, and the arguments after the name.
func find(args []string) (c command, rest []string, ok bool) {
	for _, one := range all() {
		words := strings.Fields(one.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == one.name {
			return one, args[len(words):], true
		}
	}
	return command{}, nil, false
}

// within returns the commands whose name begins with a word, such as "journal", if args are that word and perhaps a
// request for help.
func within(args []string) (some []command, help bool) {
	if len(args) > 1 {
		help = args[1] == "-h" || strings.TrimLeft(args[1], "-") == "help"
		if !help {
			return nil, false
		}
	}
	for _, c := range all() {
		if strings.HasPrefix(c.name, args[0]+" ") {
			some = append(some, c)
		}
	}
	return some, help
}

func unknown(env Environment, args []string) int {
	if some, help := within(args); len(some) > 0 {
		if help {
			list(env.Stdout, some)
			return ExitOK
		}
		say(env.Stderr, "Error: Say which command of %s.\n\n", args[0])
		list(env.Stderr, some)
		return ExitUsage
	}
	var names []string
	for _, c := range all() {
		names = append(names, c.name)
	}
	asked := args[0]
	if len(args) > 1 && !strings.HasPrefix(args[1], "-") && args[0] == "journal" {
		asked += " " + args[1]
	}
	say(env.Stderr, "Error: There is no command %q.%s\n\nSee %s --help.\n", asked,
		text.DidYouMean(asked, names), program)
	return ExitUsage
}

// help lists the commands, or explains one.
func help(env Environment, args []string) int {
	if len(args) > 1 {
		c, _, ok := find(args[1:])
		if !ok {
			return unknown(env, append(args[1:], args[0])) // "help journal" is "journal help"
		}
		flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
		flags.SortFlags = false
		c.bind(flags)
		c.usage(env.Stdout, flags)
		return ExitOK
	}
	say(env.Stdout, "%s is a Terraform provider: Terraform starts it.\nPeople and pipelines run these "+
		"commands:\n\n", program)
	list(env.Stdout, all())
	return ExitOK
}

// list prints commands with their summaries.
func list(w io.Writer, some []command) {
	for _, c := range some {
		say(w, "  %-16s %s\n", c.name, c.summary)
	}
	say(w, "\nSee %s COMMAND --help.\n", program)
}

// say prints text for people. Output that can't be printed can't be reported either.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

func (c command) usage(w io.Writer, flags *pflag.FlagSet) {
	say(w, "Usage: %s %s %s\n\n%s.\n", program, c.name, c.args, c.summary)
	if c.help != "" {
		say(w, "\n%s\n", wordwrap.WrapString(c.help, helpWidth))
	}
	say(w, "\nFlags:\n%s\nExit codes:\n  0  success\n  1  failure\n  2  invalid usage\n", flags.FlagUsages())
	if c.exits != "" {
		say(w, "  3  %s\n", c.exits)
	}
}
