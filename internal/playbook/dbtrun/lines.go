package dbtrun

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// shownEffects is how many relations a preview lists one by one, and how many names it lists on a line without cutting
// the list. More relations are grouped by effect.
const shownEffects = 5

// shownFigures is how many tables a preview lists with their rows. For more tables, it has only the total.
const shownFigures = 4

// effectLines returns one line per relation, or one per effect if there are many relations.
func effectLines(effects []effect) []string {
	var lines, order []string
	if len(effects) <= shownEffects {
		for _, e := range effects {
			lines = append(lines, e.relation()+": "+e.does)
		}
		return lines
	}
	same := map[string][]string{}
	for _, e := range effects {
		if same[e.does] == nil {
			order = append(order, e.does)
		}
		same[e.does] = append(same[e.does], e.model.Name)
	}
	for _, does := range order {
		lines = append(lines, fmt.Sprintf("%d x %s: %s", len(same[does]), does, some(same[does])))
	}
	return lines
}

// relation names the relation, and the model if that has another name.
func (e effect) relation() string {
	if m := e.model; !strings.EqualFold(m.Relation.Identifier, m.Name) {
		return fmt.Sprintf("%s (model %s)", m.Relation, m.Name)
	}
	return e.model.Relation.String()
}

// hookLines lists the statements that run in addition to the models, with unrendered templates.
func hookLines(l dbt.Listing) []string {
	const most = 5
	var lines []string
	for _, sql := range l.RunHooks {
		lines = append(lines, "Hook of the project: "+brief(sql))
	}
	for _, m := range l.Models {
		for _, sql := range m.Hooks.Pre {
			lines = append(lines, fmt.Sprintf("Hook before %s: %s", m.Name, brief(sql)))
		}
		for _, sql := range m.Hooks.Post {
			lines = append(lines, fmt.Sprintf("Hook after %s: %s", m.Name, brief(sql)))
		}
	}
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more hooks", more))
	}
	return lines
}

// brief returns the beginning of a statement, on one line.
func brief(sql string) string {
	const most = 120
	line := []rune(strings.Join(strings.Fields(sql), " "))
	if len(line) > most {
		return string(line[:most]) + " ..."
	}
	return string(line)
}

// notDone lists what the selection matches and `dbt run` skips.
func (s situation) notDone() []string {
	l := s.listing
	if !l.Interface {
		return []string{"Tests, seeds and snapshots are not run"}
	}
	lines := s.unlimited()
	if n := len(l.NotRun["test"]) + len(l.NotRun["unit_test"]); n > 0 {
		lines = append(lines, fmt.Sprintf("Tests of the selection are not run (%d)", n))
	}
	for _, kind := range []string{"seed", "snapshot", "ephemeral"} {
		if names := l.NotRun[kind]; len(names) > 0 {
			lines = append(lines, map[string]string{
				"seed": "Seeds are not run: ", "snapshot": "Snapshots are not run: ",
				"ephemeral": "Ephemeral models are part of the models that read them: ",
			}[kind]+some(names))
		}
	}
	return lines
}

// unlimited names the models that are built as a whole although an event-time window is set.
func (s situation) unlimited() []string {
	var names []string
	for _, m := range s.listing.Models {
		if m.Strategy != "microbatch" || m.Materialization != "incremental" {
			names = append(names, m.Name)
		}
	}
	if s.selection.EventTimeStart == "" || len(names) == 0 {
		return nil
	}
	return []string{"The event-time window limits only microbatch models, not " + some(names)}
}

// figures describe what exists now: the rows of the tables, or why nobody knows.
func (s situation) figures() []string {
	switch {
	case !s.catalog.Known() && s.catalog.Why == "":
		return []string{"What the database contains was not read"}
	case !s.catalog.Known():
		return []string{"What the database contains was not read: " + s.catalog.Why}
	case s.catalog.State == dbt.CatalogMissing:
		return append([]string{"The database file does not exist yet"}, s.unread()...)
	}
	lines := s.unread()
	tables, total := 0, int64(0)
	for _, m := range s.listing.Models {
		existing, _, _ := s.existing(m)
		if existing.Rows == nil {
			continue
		}
		tables++
		total += *existing.Rows
		lines = append(lines, fmt.Sprintf("%s: about %s", m.Relation, rows(*existing.Rows)))
	}
	if tables > shownFigures {
		return append(s.unread(), fmt.Sprintf("%s with about %s in total", text.Count(int64(tables), "table"),
			rows(total)))
	}
	return lines
}

// unread names the other databases in which models are built: only the catalog of the connection's own one is read.
func (s situation) unread() []string {
	var lines []string
	for _, m := range s.listing.Models {
		line := "What the database " + m.Relation.Database + " contains was not read"
		if elsewhere(s.listing, m.Relation) && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// rows formats "1 row" or "1,200,300 rows".
func rows(n int64) string { return humanize.Comma(n) + " " + english.PluralWord(int(n), "row", "") }

// locked warns that a run can't create or open the database file, or would wait for locks of other sessions.
func (s situation) locked() []string {
	if s.catalog.State == dbt.CatalogMissing && s.catalog.Why != "" {
		return []string{"A run can't create the database file: " + s.catalog.Why + ". Create the folder, or correct " +
			"path in profiles.yml"}
	}
	if s.catalog.State == dbt.CatalogLocked {
		return []string{"Another process has the database open for writing, so a run would fail: " + s.catalog.Why}
	}
	var held []string
	for _, m := range s.listing.Models {
		if existing, _, _ := s.existing(m); len(existing.LockedBy) > 0 {
			held = append(held, fmt.Sprintf("%s by %s", m.Relation, some(existing.LockedBy)))
		}
	}
	if len(held) == 0 {
		return nil
	}
	return []string{"Other sessions hold locks, and the run waits until they end: " + strings.Join(
		held[:min(len(held), shownEffects)], "; ") + ". End them, or set timeouts to limit how long the run may wait"}
}

// some lists the names, or the first cutNames and the number of the others if there are more than shownEffects.
func some(names []string) string {
	if len(names) <= shownEffects {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:cutNames], ", "), len(names)-cutNames)
}
