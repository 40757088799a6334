package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/commands/review"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

const (
	// defaultBytes is the default of --max-bytes: GitHub accepts comments of 65,536 characters.
	defaultBytes = 60_000
	// stdin is the file argument that means standard input.
	stdin = "-"
)

func reviewCommand() command {
	return command{
		name: "review", args: "[PLAN.json] [flags]",
		summary: "Write a saved plan as a comment for a pull request",
		help: "PLAN.json is the output of \"terraform show -json PLAN\". Without it, or as -, standard input " +
			"is read. The comment is Markdown that GitHub, GitLab, and Gitea show alike.",
		exits: "an approval is missing (with --detailed-exitcode only)",
		bind: func(flags *pflag.FlagSet) func(context.Context, Environment, []string) error {
			var o reviewOptions
			flags.BoolVar(&o.html, "html", false, "write one self-contained HTML page")
			flags.BoolVar(&o.plain, "plain", false, "write plain text, for a terminal or a Markdown code block")
			flags.BoolVar(&o.json, "json", false, "write JSON")
			flags.IntVar(&o.bytes, "max-bytes", defaultBytes, "maximum size of the output, in bytes")
			flags.BoolVar(&o.detailed, "detailed-exitcode", false, "exit with 3 if an approval is missing")
			return o.run
		},
	}
}

type reviewOptions struct {
	html, plain, json, detailed bool
	bytes                       int
}

func (o *reviewOptions) run(_ context.Context, env Environment, args []string) error {
	formats := 0
	for _, set := range []bool{o.html, o.plain, o.json} {
		if set {
			formats++
		}
	}
	if formats > 1 {
		return usageError{"--html, --plain, and --json exclude each other."}
	}
	if o.html && o.bytes < review.MinHTMLBytes {
		return usageError{fmt.Sprintf("--max-bytes must be at least %d with --html.", review.MinHTMLBytes)}
	}
	if o.bytes < review.MinBytes {
		return usageError{fmt.Sprintf("--max-bytes must be at least %d.", review.MinBytes)}
	}
	plan, name, err := readPlan(env, args)
	if err != nil {
		return err
	}
	options := review.Options{MaxBytes: o.bytes, PlanFile: name}
	document := review.JSON(plan)
	switch {
	case o.json:
		err = writeJSON(env.Stdout, document)
	case o.html:
		_, err = io.WriteString(env.Stdout, review.HTML(plan, options))
	case o.plain:
		_, err = io.WriteString(env.Stdout, review.Plain(plan, options))
	default:
		_, err = io.WriteString(env.Stdout, review.Markdown(plan, options))
	}
	if err == nil && o.detailed && document.ApprovalsMissing > 0 {
		return errFinding
	}
	return err
}

// readPlan reads the plan from the file that the only argument names, or from standard input. name is the file's name
// for messages.
func readPlan(env Environment, args []string) (plan planjson.Plan, name string, err error) {
	if len(args) > 1 {
		return planjson.Plan{}, "", usageError{fmt.Sprintf("Expected one file, got %d.", len(args))}
	}
	if len(args) == 0 || args[0] == stdin {
		plan, err = planjson.Read(env.Stdin)
		return plan, "PLAN.json", err
	}
	file, err := os.Open(args[0])
	if err != nil {
		return planjson.Plan{}, "", &problem.Problem{What: "The plan can't be read", Why: err.Error() + ".",
			Next: "Make it with: terraform show -json PLAN >plan.json", Err: err}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	plan, err = planjson.Read(file)
	return plan, args[0], err
}

// writeJSON writes v as JSON for other programs.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
