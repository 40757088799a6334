package commands

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/markup"
)

// runner is the function that a command runs after its flags are read.
type runner = func(ctx context.Context, env Environment, args []string) error

func journalCommands() []command {
	return []command{verifyCommand(), historyCommand(), reportCommand(), backupCommand(), cancelCommand(),
		releaseCommand(), adoptCommand(), mergeCommand()}
}

func verifyCommand() command {
	return command{
		name: "journal verify", args: "[flags]", summary: "Verify the hash chain of a journal",
		help:  "Reads every entry and finds the first one that was edited, removed, added, or moved.",
		exits: "the chain is broken, or a head is missing",
		bind: func(flags *pflag.FlagSet) runner {
			var p place
			var heads []string
			var asJSON bool
			p.flags(flags)
			flags.StringArrayVar(&heads, "head", nil, "entry that the journal must contain, as SEQ:HASH (repeatable)")
			flags.BoolVar(&asJSON, "json", false, "write JSON")
			return func(ctx context.Context, env Environment, args []string) error {
				known, err := parseHeads(heads)
				if err == nil && len(args) > 0 {
					err = usageError{"Expected no argument. Name the journal with --journal."}
				}
				if err != nil {
					return err
				}
				return p.with(ctx, env, func(s journal.Store) error {
					return verify(ctx, env, s, verifying{known, asJSON})
				})
			}
		},
	}
}

func parseHeads(texts []string) ([]journal.Head, error) {
	var heads []journal.Head
	for _, text := range texts {
		seq, hash, _ := strings.Cut(text, ":")
		n, err := strconv.ParseInt(seq, 10, 64)
		if err != nil || n < 1 || hash == "" {
			return nil, usageError{fmt.Sprintf("%q is not a head such as 42:65aef6da...", text)}
		}
		heads = append(heads, journal.Head{Seq: n, Hash: hash})
	}
	return heads, nil
}

type verifying struct {
	known  []journal.Head
	asJSON bool
}

// verified is the JSON output of "journal verify".
type verified struct {
	Holds   bool   `json:"holds"`
	Broken  string `json:"broken,omitempty"`
	Journal string `json:"journal"`
	Head    string `json:"head"`
	Removed int64  `json:"removed_entries"`
	Adopted string `json:"adopted_by,omitempty"`
	Open    int    `json:"open_executions"`
	Unknown int    `json:"unknown_outcomes"`
}

func verify(ctx context.Context, env Environment, s journal.Store, v verifying) error {
	chain, err := journal.Verify(ctx, s, v.known...)
	if err != nil {
		return err
	}
	out := verified{Holds: chain.Holds(), Broken: chain.Broken, Removed: chain.Removed,
		Head: fmt.Sprintf("%d:%s", chain.Head.Seq, chain.Head.Hash)}
	if chain.Holds() {
		epoch, err := journal.EpochOf(ctx, s)
		if err != nil {
			return err
		}
		if out.Journal = epoch.ID; epoch.Adoption != nil {
			out.Adopted = epoch.Adoption.By
		}
		all, err := s.Find(ctx, journal.Filter{})
		if err != nil {
			return err
		}
		for _, rec := range all {
			if rec.Open() {
				out.Open++
			}
			if rec.Status == journal.StatusUnknown {
				out.Unknown++
			}
		}
	}
	switch {
	case v.asJSON:
		err = writeJSON(env.Stdout, out)
	case out.Holds:
		say(env.Stdout, "The journal %s is intact. Head: %s\n", out.Journal, out.Head)
		if out.Removed > 0 {
			say(env.Stdout, "Compactions have removed %d entries.\n", out.Removed)
		}
		if out.Open > 0 {
			say(env.Stdout, "Open executions: %d\n", out.Open)
		}
	default:
		say(env.Stdout, "The journal is broken: %s.\nThe last valid entry is %s\n", out.Broken, out.Head)
	}
	if err == nil && !out.Holds {
		return errFinding
	}
	return err
}

// selection contains the flags that select records.
type selection struct {
	place
	filter       journal.Filter
	since, until string
	asJSON       bool
}

const defaultHistory = 50

func (s *selection) flags(flags *pflag.FlagSet, limit int) {
	s.place.flags(flags)
	flags.StringVar(&s.filter.Incident, "incident", "", "executions of this incident")
	flags.StringVar(&s.filter.Target, "target", "", "executions on this target")
	flags.StringVar(&s.filter.Playbook, "playbook", "", "executions of this playbook")
	flags.StringVar(&s.since, "since", "", "executions from this time on (RFC 3339)")
	flags.StringVar(&s.until, "until", "", "executions before this time (RFC 3339)")
	flags.IntVar(&s.filter.Limit, "limit", limit, "newest executions only, up to this number; 0 for all")
}

// find returns the selected records.
func (s *selection) find(ctx context.Context, store journal.Store) ([]journal.Record, error) {
	if s.filter.Limit < 0 {
		return nil, usageError{"--limit must not be negative. 0 selects all executions."}
	}
	for _, bound := range []struct {
		text string
		into *time.Time
	}{{s.since, &s.filter.Since}, {s.until, &s.filter.Until}} {
		if bound.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, bound.text)
		if err != nil {
			return nil, usageError{fmt.Sprintf("%q is not a valid RFC 3339 time, such as 2026-01-31T03:00:00Z.",
				bound.text)}
		}
		*bound.into = t
	}
	return store.Find(ctx, s.filter)
}

func historyCommand() command {
	return command{
		name: "journal history", args: "[flags]", summary: "List the executions in a journal",
		bind: func(flags *pflag.FlagSet) runner {
			var s selection
			s.flags(flags, defaultHistory)
			flags.BoolVar(&s.filter.All, "all", false, "also list dry runs, skips, and adoptions")
			flags.BoolVar(&s.asJSON, "json", false, "write JSON")
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
					return table(env, records)
				})
			}
		},
	}
}

// entry is a record as JSON for other programs.
type entry struct {
	ID         string  `json:"id"`
	Playbook   string  `json:"action_type"`
	Target     string  `json:"target"`
	Incident   string  `json:"incident_id,omitempty"`
	Status     string  `json:"status"`
	CreatedAt  string  `json:"created_at"`
	Seconds    float64 `json:"actual_duration_seconds"`
	ApprovedBy string  `json:"approved_by,omitempty"`
	Digest     string  `json:"digest,omitempty"`
	Message    string  `json:"message,omitempty"`
	LogsURL    string  `json:"logs_url,omitempty"`
	Holder     string  `json:"holder,omitempty"`
	// Origin is the execution's identifier in the journal from which it was merged, or empty.
	Origin string `json:"origin,omitempty"`
}

func entriesOf(records []journal.Record) []entry {
	out := make([]entry, len(records))
	for i, r := range records {
		out[i] = entryOf(r)
	}
	return out
}

func entryOf(r journal.Record) entry {
	e := entry{ID: r.Ref(), Playbook: r.Subject.Playbook, Target: r.Subject.Target, Incident: r.Subject.Incident,
		Status: string(r.Status), CreatedAt: r.CreatedAt.UTC().Format(time.RFC3339), ApprovedBy: r.Intent.ApprovedBy,
		Digest: r.Intent.Digest}
	if r.Result != nil {
		e.Seconds, e.Message, e.LogsURL = r.Result.ActualDuration, r.Result.Message, r.Result.LogsURL
	}
	if a := r.Intent.Adoption; a != nil {
		e.ApprovedBy, e.Message = a.By, a.Because
	}
	if r.Open() {
		e.Holder = r.Holder.String()
	}
	if o := r.Intent.Origin; o != nil {
		e.Origin = o.Execution
	}
	return e
}

// table prints records for people.
func table(env Environment, records []journal.Record) error {
	const padding, maxMessage = 2, 60
	w := tabwriter.NewWriter(env.Stdout, 0, 0, padding, ' ', 0)
	say(w, "ID\tSTARTED\tPLAYBOOK\tTARGET\tSTATUS\tTIME\tAPPROVED BY\tMESSAGE\n")
	for _, r := range records {
		e := entryOf(r)
		took := "-"
		if r.Result != nil {
			took = time.Duration(e.Seconds * float64(time.Second)).Round(time.Second).String()
		}
		if e.Origin != "" {
			e.Message = "from " + e.Origin + ": " + e.Message
		}
		cells := []string{e.ID, e.CreatedAt, e.Playbook, e.Target, e.Status, took, orDash(e.ApprovedBy),
			markup.Cut(markup.Line(e.Message), maxMessage)}
		for i, cell := range cells {
			cells[i] = markup.Line(cell)
		}
		say(w, "%s\n", strings.Join(cells, "\t"))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
