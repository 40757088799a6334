// Package gate is the playbook check_metrics: it waits, reads metrics, and reports whether they are within bounds. It
// changes nothing.
package gate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// ActionType is the playbook's name in the history.
const ActionType = "check_metrics"

// MaxWait is the longest wait.
const MaxWait = guard.MaxWait

const (
	// reading is the estimated duration without a wait.
	reading = 5 * time.Second
	// maxOvertime keeps products of the highest limits and intervals within a time.Duration.
	maxOvertime = guard.MaxLimit * guard.MaxWait
	// maxNames is how many guardrails the target's name lists.
	maxNames = 3
)

// New returns the playbook.
func New(reader guard.PastReader, clk clock.Clock) playbook.Playbook {
	return playbook.New(Describe(), func(p params) playbook.Logic[Facts] {
		return action{reader: reader, clock: clk, params: p}
	})
}

// Describe returns the playbook without its sources.
func Describe() playbook.Definition[params] {
	return playbook.Definition[params]{Page: page(), Validate: params.validate}
}

// page is the playbook's page in the catalogue.
func page() playbook.Metadata {
	return playbook.Metadata{
		ActionType: ActionType,
		Summary:    "waits, reads metrics, and reports whether they are within their bounds; it changes nothing",
		Use: []string{"checking whether a remediation helped, before the next one",
			"deciding whether the next step of an incident runs"},
		Approval: "never needed",
		Duration: "its wait", Cost: "USD 0.00",
		Undo:     "not needed: it changes nothing",
		ReadOnly: true, Gate: true,
	}
}

// params are the playbook's inputs.
type params struct {
	// Wait is the time before the last reading, such as "10m". Empty: none.
	Wait string `json:"wait"`
	// Fail makes a verdict other than passed fail the execution.
	Fail bool `json:"fail"`
	// Guardrails are the metrics with their bounds. Their OnBreach is empty: the gate has one verdict.
	Guardrails []guard.Rail `json:"guardrail,omitempty"`
}

func (p params) validate() (params, error) {
	if p.Wait != "" {
		d, err := time.ParseDuration(p.Wait)
		if err != nil {
			return p, playbook.Invalid("Write a duration such as 10m.",
				fmt.Sprintf("%q is not a valid duration.", p.Wait), "wait")
		}
		if d < 0 || d > MaxWait {
			return p, playbook.Invalid(fmt.Sprintf("Must be between 0s and %s.", MaxWait),
				"wait is "+p.Wait+".", "wait")
		}
		if p.Wait = d.String(); d == 0 {
			p.Wait = ""
		}
	}
	if len(p.Guardrails) == 0 {
		return p, playbook.Invalid("Add a guardrail block with a name, a query, and a bound such as max.",
			"A gate without guardrails has nothing to read.", playbook.InputGuardrails)
	}
	for i, r := range p.Guardrails {
		if err := checkRail(r, strconv.Itoa(i)); err != nil {
			return p, err
		}
	}
	return p, guard.Check(p.rails())
}

// checkRail refuses settings that a gate's guardrail can't have.
func checkRail(r guard.Rail, i string) error {
	refuse := func(allowed, why, at string) error {
		return playbook.Invalid(allowed, fmt.Sprintf("Guardrail %q: %s", r.Name, why), playbook.InputGuardrails, i, at)
	}
	relative := "max_drop_percent"
	if r.MaxDrop == nil {
		relative = "max_increase_percent"
	}
	switch {
	case r.OnBreach != "":
		return refuse("Leave it out. Set fail = true on the gate if a breach should fail it.",
			"a gate changes nothing, so a breach has nothing to roll back or hold.", "on_breach")
	case r.Wait != "":
		return refuse("Leave it out, and set wait on the gate.", "all guardrails of a gate are read after its wait.",
			"wait")
	case r.Relative() && r.Prometheus == "":
		return refuse("Use min and max, or a Prometheus query.",
			"a percentage compares with the value before the incident's first execution, and only Prometheus can be "+
				"asked about an earlier time.", relative)
	}
	return nil
}

// rails returns the guardrails with the OnBreach that package guard needs: a breach fails, which decides the verdict.
func (p params) rails() []guard.Rail {
	rails := slices.Clone(p.Guardrails)
	for i := range rails {
		rails[i].OnBreach = guard.Fail
	}
	return rails
}

// wait returns the time before the last reading.
func (p params) wait() time.Duration {
	d, err := time.ParseDuration(p.Wait)
	if err != nil {
		return 0 // not set; validate has refused everything else
	}
	return d
}

// names returns the names of the guardrails.
func (p params) names() []string {
	names := make([]string, len(p.Guardrails))
	for i, r := range p.Guardrails {
		names[i] = r.Name
	}
	return names
}

// relative reports whether a guardrail compares the metric with its own value at an earlier time.
func (p params) relative() bool {
	return slices.ContainsFunc(p.Guardrails, func(r guard.Rail) bool { return r.Relative() && r.Stable == "" })
}

// overtime is how long readings that fail or are inconclusive can go on until the limits of the guardrails end them.
// Before the wait, a value at an earlier time is tried again, too.
func (p params) overtime() time.Duration {
	longest, past := time.Duration(0), time.Duration(0)
	for _, r := range p.rails() {
		longest = max(longest, lasts(r, r.Tries()))
		if r.Relative() && r.Stable == "" {
			past = max(past, lasts(r, r.ErrorTries()))
		}
	}
	return min(longest+past, maxOvertime)
}

// lasts returns how long a number of readings take if each of them fails as late as possible.
func lasts(r guard.Rail, tries int) time.Duration {
	one := r.Every() + guard.ReadTimeout
	if one > maxOvertime/time.Duration(tries) {
		return maxOvertime
	}
	return one * time.Duration(tries)
}

type action struct {
	reader guard.PastReader
	clock  clock.Clock
	params params
}

// Facts are empty: a gate reads the metrics when it runs.
type Facts struct{}

// Target implements playbook.Logic. It names the metrics, because a gate changes nothing.
func (a action) Target(context.Context) (string, error) {
	names := a.params.names()
	if more := len(names) - maxNames; more > 0 {
		names = append(names[:maxNames], fmt.Sprintf("%d more", more))
	}
	return "metrics:" + strings.Join(names, ","), nil
}

// Preview implements playbook.Logic. It reads the metrics once.
func (a action) Preview(ctx context.Context) (playbook.Preview, Facts, error) {
	rails := a.params.rails()
	if err := guard.CheckSources(a.reader, rails); err != nil {
		return playbook.Preview{}, Facts{}, err
	}
	what, names := text.Count(int64(len(rails)), "metric"), strings.Join(a.params.names(), ", ")
	p := playbook.Preview{
		Summary:  fmt.Sprintf("Will read %s: %s", what, names),
		Duration: max(a.params.wait(), reading), Waits: a.params.wait(), Overtime: a.params.overtime(),
		Risk: playbook.RiskLow, RiskReason: "nothing is changed", Affected: []string{}, Commands: a.commands(),
		Undo: page().Undo,
	}
	if wait := a.params.wait(); wait > 0 {
		p.Summary = fmt.Sprintf("Will watch %s for %s: %s", what, text.Duration(wait), names)
		p.Changes = []string{fmt.Sprintf("Nothing. Watches the metrics for %s, then reads them once more",
			text.Duration(wait))}
	} else {
		p.Changes = []string{"Nothing. Reads the metrics once"}
	}
	if a.params.relative() {
		p.Changes = append(p.Changes, "Percentages compare with the moment before the first execution of the "+
			"incident (without an incident: of this apply)")
	}
	if a.params.Fail {
		p.Changes = append(p.Changes, "Fails unless every metric passes (fail = true)")
	} else {
		p.NotDone = []string{"a breach does not fail the apply; see passed and verdict"}
	}
	for i, r := range guard.Begin(ctx, a.reader, rails, guard.NoTraffic).Baseline {
		r.Symptom = false
		p.Figures = append(p.Figures, r.Name+": "+figure(rails[i], r))
	}
	return p, Facts{}, nil
}

// figure formats a reading of the plan. A value that is to be compared with an earlier one has not passed yet: only the
// gate asks for that one.
func figure(rail guard.Rail, r guard.Reading) string {
	if r.State == guard.Passed && rail.Relative() && rail.Stable == "" {
		return fmt.Sprintf("value %s, compared at apply", strconv.FormatFloat(*r.Value, 'g', digits, bits))
	}
	return r.String()
}

// commands describes what is read.
func (a action) commands() []string {
	var lines []string
	for _, r := range a.params.Guardrails {
		switch {
		case r.HTTP != nil:
			lines = append(lines, strings.TrimSpace("GET "+r.HTTP.URL+" "+r.HTTP.Pointer))
		case r.Search != nil:
			lines = append(lines, fmt.Sprintf("search %s (%s)", r.Search.Index, r.Search.Measure))
		default:
			lines = append(lines, "query "+strings.Join(strings.Fields(r.Prometheus), " "))
		}
	}
	return lines
}
