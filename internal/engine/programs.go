package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
)

// checkPrograms compares the programs that would run now with those in the record of the reviewed dry run. On the host
// of the dry run they must be the same. On another host the runner's policy decides which programs may start; if it
// lists none, the history names the differences.
func (e *Engine) checkPrograms(rec journal.Record, now *Review) error {
	was, err := decoded(rec)
	if err != nil || len(was.Programs) == 0 {
		return err
	}
	if e.isHere(rec) {
		return otherPrograms(now.ActionType, proc.ProgramChanges(was.Programs, now.Programs))
	}
	changes := proc.ProgramChangesElsewhere(was.Programs, now.Programs)
	if len(changes) > 0 && !e.cfg.ProgramsListed {
		now.remarks = append(now.remarks, fmt.Sprintf("other programs ran than those of the dry run on %s: %s",
			rec.Intent.Holder.Host, strings.Join(changes, ", ")))
	}
	return nil
}

// isHere reports whether the record was made on this host.
func (e *Engine) isHere(rec journal.Record) bool { return rec.Intent.Holder.Host == e.cfg.Self.Host }

// samePrograms reports whether a dry run of now would record the same programs as the record, on the same host.
func (e *Engine) samePrograms(rec journal.Record, was shown, now *Review) bool {
	return slices.Equal(was.Programs, now.Programs) && (len(now.Programs) == 0 || e.isHere(rec))
}

func otherPrograms(playbook string, changes []string) error {
	if len(changes) == 0 {
		return nil
	}
	return &problem.Problem{
		What: fmt.Sprintf("%s would run another program than was reviewed", playbook),
		Why:  "Since the dry run on this host, the programs have changed:\n  - " + strings.Join(changes, "\n  - "),
		Next: "Nothing has run. Find out who changed them. Then plan again, and apply that plan.",
		Err:  ErrTargetChanged,
	}
}
