package commands

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/sqlite"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// changeAttempts bounds how often a change is tried while other processes change the execution.
const changeAttempts = 10

func cancelCommand() command {
	return command{
		name: "journal cancel", args: "ID [flags]", summary: "Ask a running execution to stop and to go back",
		help: "The request is an entry in the journal. The process that holds the execution, on whatever machine, " +
			"reads it with its next heartbeat, within about 10 seconds. It then stops the work and restores what the " +
			"playbook can restore. The command does not wait for that.",
		exits: "the execution has ended, or was asked already",
		bind: func(flags *pflag.FlagSet) runner {
			var c changing
			c.flags(flags)
			return func(ctx context.Context, env Environment, args []string) error {
				return c.change(ctx, env, args, change{
					done: "Asked execution %s on %s to stop. Its holder is %s.\n",
					entry: func(by string) (journal.Kind, any) {
						return journal.KindCancel, journal.Cancel{By: by, Because: c.because, Process: proc.Self()}
					},
				})
			}
		},
	}
}

func releaseCommand() command {
	return command{
		name: "journal release", args: "ID --because TEXT [flags]",
		summary: "Release an execution from a holder that is alive but makes no progress",
		help: "The holder can record nothing more, and stops changing the target with its next heartbeat. The " +
			"execution stays open: the next apply adopts it, finds out what happened on the target, and records the " +
			"outcome. Make sure that the holder makes no progress. If it is still working, use cancel.",
		exits: "the execution has ended",
		bind: func(flags *pflag.FlagSet) runner {
			var c changing
			c.flags(flags)
			return func(ctx context.Context, env Environment, args []string) error {
				if strings.TrimSpace(c.because) == "" {
					return usageError{"Say why with --because."}
				}
				return c.change(ctx, env, args, change{
					done: "Released execution %s on %s from %s. The next apply adopts it.\n",
					entry: func(by string) (journal.Kind, any) {
						return journal.KindTakeover, journal.Takeover{Holder: proc.Self(),
							Reason: fmt.Sprintf("released by %s: %s", by, c.because)}
					},
				})
			}
		},
	}
}

// changing contains the flags of commands that add an entry to an execution.
type changing struct {
	place
	name, because string
	asJSON        bool
}

func (c *changing) flags(flags *pflag.FlagSet) {
	c.place.flags(flags)
	flags.StringVar(&c.name, "name", "", "who asks (default: the user of the environment)")
	flags.StringVar(&c.because, "because", "", "the reason, for the journal")
	flags.BoolVar(&c.asJSON, "json", false, "write the execution as JSON")
}

// change is an entry to add, and the message to print afterwards.
type change struct {
	done  string
	entry func(by string) (journal.Kind, any)
}

func (c *changing) change(ctx context.Context, env Environment, args []string, add change) error {
	by, err := person(env, c.name)
	if err != nil {
		return err
	}
	return c.with(ctx, env, func(s journal.Store) error {
		rec, err := execution(ctx, s, args)
		if err != nil {
			return err
		}
		holder := rec.Holder
		kind, body := add.entry(by)
		for range changeAttempts {
			var changed journal.Record
			changed, err = s.Append(ctx, rec.Lease(), kind, body)
			if err == nil {
				rec = changed
				break
			}
			if !errors.Is(err, journal.ErrFenced) {
				break
			}
			now, readErr := s.Get(ctx, rec.ID) // another process has taken the execution over
			if readErr != nil {
				return readErr
			}
			rec, holder = now, now.Holder
		}
		switch {
		case errors.Is(err, journal.ErrClosed):
			say(env.Stderr, "Execution %s has ended: %s.\n", rec.Ref(), rec.Status)
			return errFinding
		case errors.Is(err, journal.ErrOrder):
			say(env.Stderr, "Execution %s was asked to stop already.\n", rec.Ref())
			return errFinding
		case err != nil:
			return err
		case c.asJSON:
			return writeJSON(env.Stdout, entryOf(rec))
		}
		say(env.Stdout, add.done, rec.Ref(), rec.Subject.Target, holder)
		return nil
	})
}

func adoptCommand() command {
	return command{
		name: "journal adopt", args: "--name NAME --because TEXT [flags]",
		summary: "Accept a journal that was restored or is new",
		help: "After a restore, apply refuses what needs an approval, because the journal may lack the executions " +
			"that used it. This entry accepts the journal and gives it a new identity. Every approval from before is " +
			"void: payloads, signatures, and names. With --replaces, states that were saved with a lost journal are " +
			"accepted too; the error that plan reports names its identity.",
		exits: "the journal is broken",
		bind: func(flags *pflag.FlagSet) runner {
			var p place
			var a journal.Adoption
			var asJSON bool
			p.flags(flags)
			flags.StringVar(&a.By, "name", "", "who accepts it")
			flags.StringVar(&a.Because, "because", "", "the reason")
			flags.StringArrayVar(&a.Replaces, "replaces", nil, "identity of a lost journal that this one replaces "+
				"(repeatable)")
			flags.BoolVar(&asJSON, "json", false, "write JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) > 0 || strings.TrimSpace(a.By) == "" || strings.TrimSpace(a.Because) == "" {
					return usageError{"Say who you are with --name, and why with --because."}
				}
				for _, id := range a.Replaces {
					if ref, err := journal.ParseRef(id + "-1"); err != nil || ref.Journal == "" {
						return usageError{fmt.Sprintf("%q is not the identity of a journal, such as 4f9c2a17.", id)}
					}
				}
				return p.adopt(ctx, env, a, asJSON)
			}
		},
	}
}

func (p place) adopt(ctx context.Context, env Environment, a journal.Adoption, asJSON bool) (err error) {
	s, err := p.open(ctx, env, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	chain, err := journal.Verify(ctx, s)
	if err != nil {
		return err
	}
	if !chain.Holds() {
		say(env.Stderr, "The journal is broken, and an adoption does not repair it: %s.\nRestore a "+
			"backup.\n", chain.Broken)
		return errFinding
	}
	before, err := journal.Identity(ctx, s)
	if err != nil {
		return err
	}
	rec, err := journal.Adopt(ctx, s, a, proc.Self())
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(env.Stdout, map[string]any{"journal": rec.Journal, "was": before, "entry": rec.ID})
	}
	say(env.Stdout, "Adopted as journal %s. Approvals from before are void: plan again, and approve what the plan "+
		"shows.\n",
		rec.Journal)
	return nil
}

func backupCommand() command {
	return command{
		name: "journal backup", args: "FILE [flags]", summary: "Copy a journal file while it is in use",
		help: "The copy is consistent, and its hash chain is verified. For a journal in Elasticsearch, take a " +
			"snapshot of its indices.",
		exits: "the copy does not verify",
		bind: func(flags *pflag.FlagSet) runner {
			var p place
			var asJSON bool
			p.flags(flags)
			flags.BoolVar(&asJSON, "json", false, "write JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				if len(args) != 1 {
					return usageError{"Expected the file to write."}
				}
				p, err := p.resolved(ctx, env)
				if err != nil {
					return err
				}
				if p.index != "" {
					return &problem.Problem{What: "A journal in Elasticsearch is not copied to a file",
						Why:  "Its cluster takes snapshots.",
						Next: "Take a snapshot of " + p.index + "-*, and verify it after a restore."}
				}
				return p.backup(ctx, env, args[0], asJSON)
			}
		},
	}
}

func (p place) backup(ctx context.Context, env Environment, to string, asJSON bool) (err error) {
	if err := p.exists(); err != nil {
		return err
	}
	store, err := sqlite.Open(ctx, p.path, clock.System{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	was, err := journal.Newest(ctx, store)
	if err != nil {
		return err
	}
	if to, err = filepath.Abs(to); err != nil {
		return err
	}
	if err := store.Backup(ctx, to); err != nil {
		return err
	}
	saved, err := sqlite.Open(ctx, to, clock.System{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, saved.Close()) }()
	var known []journal.Head
	if was.Seq > 0 {
		known = append(known, was.Head)
	}
	chain, err := journal.Verify(ctx, saved, known...)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("%d:%s", chain.Head.Seq, chain.Head.Hash)
	if asJSON {
		err = writeJSON(env.Stdout, map[string]any{"file": to, "holds": chain.Holds(), "head": head,
			"broken": chain.Broken})
	} else if chain.Holds() {
		say(env.Stdout, "Saved %s. Head: %s\n", to, head)
	} else {
		say(env.Stdout, "Saved %s, but it does not verify: %s.\n", to, chain.Broken)
	}
	if err == nil && !chain.Holds() {
		return errFinding
	}
	return err
}
