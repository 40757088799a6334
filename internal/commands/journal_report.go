package commands

import (
	"context"
	"io"

	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/report"
)

func reportCommand() command {
	return command{
		name: "journal report", args: "[flags]", summary: "Write the history as one HTML page, or as Markdown",
		help: "The page is one file that loads nothing. It shows a timeline, durations against estimates, the split " +
			"of the traffic over time, guardrail readings, approvals, and every execution.",
		bind: func(flags *pflag.FlagSet) runner {
			var s selection
			var markdown bool
			var out string
			var bytes int
			s.flags(flags, 0)
			flags.BoolVar(&markdown, "markdown", false, "write Markdown")
			flags.IntVar(&bytes, "max-bytes", defaultBytes, "maximum size of the Markdown, in bytes")
			flags.StringVar(&out, "out", "", "write to this file instead of standard output")
			flags.BoolVar(&s.asJSON, "json", false, "write the executions as JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) > 0 {
					return usageError{"Expected no argument."}
				}
				return s.with(ctx, env, func(store journal.Store) error {
					records, err := s.find(ctx, store)
					if err != nil {
						return err
					}
					if s.asJSON {
						return writeJSON(env.Stdout, entriesOf(records))
					}
					r, err := report.Collect(ctx, store, records)
					if err != nil {
						return err
					}
					text := r.HTML()
					if markdown {
						text = r.Markdown(bytes)
					}
					if out == "" {
						_, err = io.WriteString(env.Stdout, text)
						return err
					}
					file, err := outputAt(out)
					if err != nil {
						return err
					}
					const private = 0o600 // it names people and systems
					return file.write([]byte(text), private)
				})
			}
		},
	}
}
