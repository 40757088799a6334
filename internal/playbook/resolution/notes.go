package resolution

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// maxListed is how many of the newest executions the notes list.
const maxListed = 10

// maxValue is how many characters of an input's value the notes quote.
const maxValue = 200

// Execution is what the notes say about an execution that has ended.
type Execution struct {
	ActionType string
	// Params are its inputs, as a JSON object.
	Params json.RawMessage
	// Ended is how it ended, such as "success".
	Ended string
	// Message is its result in one sentence, and Seconds its duration.
	Message string
	Seconds float64
	// Check reports that it only checked metrics, and Passed that they were within bounds.
	Check, Passed bool
}

// Executed lists the executions for an incident, oldest first, without those that are still running.
type Executed func(ctx context.Context, incident string) ([]Execution, error)

// notes are the notes to send with a resolution.
type notes struct {
	// text is empty if nothing was executed.
	text string
	// written reports that the notes are not from the configuration, but written from the journal.
	written bool
}

// notes returns the configured notes. Without any, it writes them from the present content of the journal.
func (a action) notes(ctx context.Context) (notes, error) {
	if a.params.Notes != "" {
		return notes{text: a.params.Notes}, nil
	}
	all, err := a.executed(ctx, a.params.IncidentID)
	if err != nil {
		return notes{}, fmt.Errorf("read the executions of incident %s: %w", a.params.IncidentID, err)
	}
	return notes{text: Write(all), written: true}, nil
}

// planned returns the dry run's lines about the notes.
func (n notes) planned() []string {
	switch {
	case !n.written:
		return []string{"Notes: " + strings.Join(strings.Fields(n.text), " ")}
	case n.text == "":
		return []string{"Notes: written at apply from the executions for this incident; there are none yet"}
	}
	return []string{"Notes: " + n.text, "Executions of this run are added to the notes at apply"}
}

// Write returns the notes about executions, such as "Executed: rerun_dbt (models: inbox_emails). Result: Rebuilt 1
// model. Duration: 12 minutes." It returns "" if nothing was executed.
func Write(all []Execution) string {
	var ran []string
	result, checked, seconds := "", false, 0.0
	for _, x := range all {
		if x.ActionType == ActionType {
			continue
		}
		if x.Check {
			if x.Passed {
				result, checked = x.Message, true
			}
			continue
		}
		ran = append(ran, named(x))
		seconds += x.Seconds
		if !checked && x.Message != "" {
			result = x.Message
		}
	}
	if len(ran) == 0 {
		return ""
	}
	if earlier := len(ran) - maxListed; earlier > 0 {
		ran = append([]string{fmt.Sprintf("%d earlier", earlier)}, ran[earlier:]...)
	}
	sentences := "Executed: " + strings.Join(ran, ", ") + "."
	if result = strings.TrimSuffix(strings.TrimSpace(result), "."); result != "" {
		sentences += " Result: " + result + "."
	}
	return sentences + " Duration: " + inWords(seconds) + "."
}

// named formats an execution with its inputs, such as "rerun_dbt (models: inbox_emails)". Inputs that are objects are
// left out: they are long, and may contain what an incident service should not receive.
func named(x Execution) string {
	parts := inputs(x.Params)
	if x.Ended != "success" {
		parts = append(parts, x.Ended)
	}
	if len(parts) == 0 {
		return x.ActionType
	}
	return fmt.Sprintf("%s (%s)", x.ActionType, strings.Join(parts, "; "))
}

// inputs returns the inputs in their written order.
func inputs(params json.RawMessage) []string {
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.UseNumber()
	if t, err := decoder.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var parts []string
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return parts
		}
		var value any
		if decoder.Decode(&value) != nil {
			return parts
		}
		if v, ok := plain(value); ok {
			parts = append(parts, fmt.Sprintf("%v: %s", key, v))
		}
	}
	return parts
}

// plain formats a simple value, or a list of them.
func plain(value any) (string, bool) {
	switch v := value.(type) {
	case []any:
		all := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := plain(e); ok {
				all = append(all, s)
			}
		}
		return shortened(strings.Join(all, ", ")), len(all) > 0
	case map[string]any, nil:
		return "", false
	default:
		return shortened(strings.Join(strings.Fields(fmt.Sprint(v)), " ")), true
	}
}

func shortened(s string) string {
	if r := []rune(s); len(r) > maxValue {
		return string(r[:maxValue]) + "..."
	}
	return s
}

// inWords formats a duration for the notes, such as "12 minutes".
func inWords(seconds float64) string {
	const minute, hour = 60, 3600
	switch {
	case seconds < 2*minute:
		return text.Count(int64(math.Round(seconds)), "second")
	case seconds < 2*hour:
		return text.Count(int64(math.Round(seconds/minute)), "minute")
	default:
		return text.Count(int64(math.Round(seconds/hour)), "hour")
	}
}

// nothingExecuted is the error for notes that were to be written from executions of which there are none.
func nothingExecuted(id string) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal has no execution for incident %s", id),
		Why: "The notes are written from the executions for the incident, and there is none. Either the other " +
			"resources have a different incident_id, or they were skipped.",
		Next: "Nothing was sent. Set incident_id on the resources that remediate it, or set notes.",
		Path: []string{"notes"}, Err: playbook.ErrNeverBegan,
	}
}
