package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

func mergeCommand() command {
	return command{
		name: "journal merge", args: "FILE --name NAME --because TEXT [flags]",
		summary: "Add the executions of a journal file to the journal",
		help: "FILE is a journal that was used while the usual one could not be reached. Its executions are appended " +
			"with their outcomes, each with its identifier in FILE. Then the journal is adopted: states that were " +
			"saved with FILE are accepted, and every approval from before is void. Merging again adds what is new.",
		exits: "an execution is still open, one of the journals is broken, or both are the same",
		bind: func(flags *pflag.FlagSet) runner {
			var m merging
			m.flags(flags)
			flags.StringVar(&m.by, "name", "", "who merges them")
			flags.StringVar(&m.because, "because", "", "the reason")
			flags.BoolVar(&m.asJSON, "json", false, "write JSON")
			return m.run
		},
	}
}

// merging contains the flags. The place is that of the journal to merge into.
type merging struct {
	place
	by, because string
	asJSON      bool
}

// merged is the JSON output of "journal merge".
type merged struct {
	Journal    string  `json:"journal"`
	Executions []entry `json:"executions"`
	Known      int     `json:"merged_before"`
	Adopted    bool    `json:"adopted"`
}

func (m *merging) run(ctx context.Context, env Environment, args []string) error {
	if len(args) != 1 || strings.TrimSpace(m.by) == "" || strings.TrimSpace(m.because) == "" {
		return usageError{"Name one file, say who you are with --name, and why with --because."}
	}
	return m.with(ctx, env, func(into journal.Store) error {
		return place{path: args[0]}.with(ctx, env, func(from journal.Store) error {
			for name, s := range map[string]journal.Store{args[0]: from, "the journal": into} {
				if chain, err := journal.Verify(ctx, s); err != nil {
					return err
				} else if !chain.Holds() {
					say(env.Stderr, "Nothing was merged: %s is broken: %s.\n", name, chain.Broken)
					return errFinding
				}
			}
			return m.merge(ctx, env, into, from)
		})
	})
}

func (m *merging) merge(ctx context.Context, env Environment, into, from journal.Store) error {
	done, err := journal.Merge(ctx, into,
		journal.Merging{From: from, By: m.by, Because: m.because, Self: proc.Self()})
	switch {
	case errors.Is(err, journal.ErrOpen):
		say(env.Stderr, "Nothing was merged: %s. Let an apply with that journal finish it, or see journal release.\n",
			err)
		return errFinding
	case errors.Is(err, journal.ErrSameJournal):
		say(env.Stderr, "Nothing was merged: %s.\n", err)
		return errFinding
	case err != nil:
		return fmt.Errorf("after %s: %w", text.Count(int64(len(done.Executions)), "execution"), err)
	}
	identity, err := journal.Identity(ctx, into)
	if err != nil {
		return err
	}
	if m.asJSON {
		return writeJSON(env.Stdout, merged{Journal: identity, Executions: entriesOf(done.Executions),
			Known: done.Known, Adopted: done.Adoption.ID != 0})
	}
	for _, rec := range done.Executions {
		say(env.Stdout, "Merged %s as %s.\n", rec.Intent.Origin.Execution, rec.Ref())
	}
	say(env.Stdout, "Merged %s into the journal %s; %d had been merged before.\n",
		text.Count(int64(len(done.Executions)), "execution"), identity, done.Known)
	if done.Adoption.ID != 0 {
		say(env.Stdout, "Approvals from before are void: plan again, and approve what the plan shows.\n")
	}
	return nil
}
