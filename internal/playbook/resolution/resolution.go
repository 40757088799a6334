// Package resolution is the playbook resolve_incident: it resolves an incident in the incident service, with notes
// about what was executed for it. It never asks the service to execute anything.
package resolution

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/incidents"
)

// ActionType is the playbook's name in the history.
const ActionType = "resolve_incident"

// estimate is how long a handful of requests takes.
const estimate = 10 * time.Second

// longestNotes is the longest text of notes, in bytes.
const longestNotes = 10_000

// Service is what the playbook needs from the incident service.
type Service interface {
	// Configured reports whether there is a service, and URL is its base URL.
	Configured() bool
	URL() string
	// Incident reads one incident.
	Incident(ctx context.Context, id string) (incidents.Incident, error)
	// Apply sends a change once.
	Apply(ctx context.Context, id string, change incidents.Change) error
}

// New returns the playbook. executed lists what was executed for an incident.
func New(service Service, executed Executed) playbook.Playbook {
	return playbook.New(Describe(), func(p params) playbook.Logic[Facts] {
		return action{service: service, executed: executed, params: p}
	})
}

// Describe returns the playbook without its target.
func Describe() playbook.Definition[params] {
	return playbook.Definition[params]{Page: page(), Validate: params.validate}
}

func page() playbook.Metadata {
	return playbook.Metadata{
		ActionType: ActionType,
		Summary:    "resolves an incident in the incident service, with notes about what was executed for it",
		Use:        []string{"the last step of a remediation that helped"},
		Approval:   "never needed",
		Duration:   fmt.Sprintf("%.0f s", estimate.Seconds()),
		Cost:       "USD 0",
		Undo:       "none",
	}
}

// params are the playbook's inputs.
type params struct {
	// IncidentID is the incident, as the service writes it.
	IncidentID string `json:"incident_id"`
	// Notes are kept with the resolution. Empty: written from the journal.
	Notes string `json:"notes,omitempty"`
}

func (p params) validate() (params, error) {
	if why := incidents.CheckID(p.IncidentID); why != "" {
		return p, playbook.Invalid("Write the identifier as the service does.",
			fmt.Sprintf("The identifier %s.", why), "incident_id")
	}
	if p.Notes == "" {
		return p, nil
	}
	if len(p.Notes) > longestNotes {
		return p, playbook.Invalid(fmt.Sprintf("At most %d bytes.", longestNotes),
			fmt.Sprintf("The notes have %d bytes.", len(p.Notes)), "notes")
	}
	for _, line := range strings.Split(strings.ReplaceAll(p.Notes, "\t", " "), "\n") {
		if why := check.OneLine(strings.TrimSpace(line)); strings.TrimSpace(line) != "" && why != "" {
			return p, playbook.Invalid("Use lines of plain text.", "A line "+why+".", "notes")
		}
	}
	if strings.TrimSpace(p.Notes) == "" {
		return p, playbook.Invalid("Write notes, or leave them out.", "The notes are empty.", "notes")
	}
	return p, nil
}

type action struct {
	service  Service
	executed Executed
	params   params
}

// Facts are what must still be true at apply. The incident's status is not among them: somebody may acknowledge the
// incident at any time, and that changes nothing about the result.
type Facts struct {
	// Incident is the incident's identifier.
	Incident string `json:"incident"`
}

// Target implements playbook.Logic.
func (a action) Target(context.Context) (string, error) {
	if !a.service.Configured() {
		return "incident:" + a.params.IncidentID, nil
	}
	_, address, _ := strings.Cut(a.service.URL(), "://")
	return fmt.Sprintf("incident:%s/%s", address, a.params.IncidentID), nil
}

// Preview implements playbook.Logic. It only reads. A service that does not answer is a warning: the rest of the
// configuration must be planned all the same.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	id := a.params.IncidentID
	facts := Facts{Incident: id}
	p := playbook.Preview{
		Summary:  fmt.Sprintf("Will resolve incident %s", id),
		Commands: []string{fmt.Sprintf("POST %s/incidents/%s/%s", a.service.URL(), id, incidents.Resolve)},
		Duration: estimate, EstimateOrigin: "default", Risk: playbook.RiskLow,
		RiskReason: "only the incident's status and notes change",
		Affected:   []string{"incident " + id}, Undo: "none: reopen the incident in the service",
		NotDone:  []string{"The incident is not closed", "The incident service runs no action"},
		Identity: map[string]any{"service": strings.ToLower(a.service.URL()), "incident": id},
	}
	notes, err := a.notes(ctx)
	if err != nil {
		return p, facts, err
	}
	p.Figures = notes.planned()
	now, err := a.service.Incident(ctx, id)
	switch {
	case errors.Is(err, incidents.ErrNotFound), errors.Is(err, incidents.ErrID),
		errors.Is(err, incidents.ErrNotConfigured):
		return p, facts, err
	case ctx.Err() != nil:
		return p, facts, context.Cause(ctx)
	case err != nil:
		why := problem.Of(err, "The incident service can't be reached")
		p.Warnings = []string{fmt.Sprintf("%s. %s Apply reads the incident before it changes anything.", why.What,
			why.Why)}
		p.Changes = []string{p.Summary + ", through the statuses that it still needs"}
		return p, facts, nil
	}
	p.Where = []string{fmt.Sprintf("incident %s: %s", id, described(now))}
	p.Changes, p.Warnings = planned(now)
	return p, facts, nil
}

// described returns the incident's severity, summary, and status for the plan.
func described(i incidents.Incident) string {
	parts := []string{}
	for _, part := range []string{i.Severity, i.Summary} {
		if part = printable(part); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, "now "+string(i.Status)), ", ")
}

// printable returns a text from the service on one line, shortened and without characters that can't be seen.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf) {
			return -1
		}
		return r
	}, s)
	return shortened(strings.Join(strings.Fields(s), " "))
}

// planned returns the changes to an incident, and warnings for what a reader of the plan should act on.
func planned(now incidents.Incident) (changes, warnings []string) {
	verbs, ok := incidents.Remaining(now.Status)
	switch {
	case !ok:
		return []string{"The incident is resolved"}, []string{fmt.Sprintf("The incident service gives the unknown "+
			"status %q. Apply refuses to change an incident in that status.", now.Status)}
	case len(verbs) == 0:
		return []string{fmt.Sprintf("None: the incident is %s already, so nothing is sent", now.Status)},
			[]string{fmt.Sprintf("The incident is %s already. Apply sends nothing and keeps the notes in the result.",
				now.Status)}
	}
	path := []string{string(now.Status)}
	for _, v := range verbs {
		path = append(path, string(v.Leads()))
	}
	return []string{"Status: " + strings.Join(path, " -> ")}, nil
}
