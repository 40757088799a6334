package gate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/guard"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Verdicts of a gate.
const (
	Passed       = "passed"
	Failed       = "failed"
	Inconclusive = "inconclusive"
)

// Values are the results of a gate, by the names of the resource's attributes.
type Values struct {
	// Passed is false unless every guardrail passed.
	Passed   bool      `json:"passed"`
	Verdict  string    `json:"verdict"`
	Readings []Reading `json:"readings"`
}

// Reading is the newest reading of a guardrail.
type Reading struct {
	Name string `json:"name"`
	// State is a guard.State.
	State string `json:"state"`
	// Value is nil if there was none. Baseline is the value that relative bounds compare with, or nil.
	Value    *float64 `json:"value"`
	Baseline *float64 `json:"baseline"`
	Bounds   string   `json:"bounds"`
	// Reason is why the guardrail did not pass, or nil.
	Reason *string `json:"reason"`
}

// ErrVerdict is the error of a gate with fail = true whose verdict is not Passed.
var ErrVerdict = errors.New("the gate did not pass")

// remoteID is a constant, because the work exists only in this process.
const remoteID = "readings"

// Dispatch implements playbook.Logic. Wait reads the metrics.
func (a action) Dispatch(_ context.Context, job playbook.Job, _ Facts) (playbook.Work, error) {
	return work{action: a, job: job}, nil
}

// Adopt implements playbook.Logic. A process that died has changed nothing, so its execution never began, and the
// metrics are read again.
func (action) Adopt(context.Context, playbook.Job, Facts) (playbook.Work, error) {
	return nil, fmt.Errorf("the process died while it read the metrics, and nothing was changed: %w",
		playbook.ErrNeverBegan)
}

type work struct {
	action
	job playbook.Job
}

// RemoteID implements playbook.Work.
func (work) RemoteID() string { return remoteID }

// Wait implements playbook.Work.
func (w work) Wait(ctx context.Context) (playbook.Report, error) {
	began, err := w.job.IncidentBegan(ctx)
	if err != nil {
		return playbook.Report{}, err
	}
	rails := w.params.rails()
	watch := guard.Compare(ctx, w.reader, rails, func(r guard.Rail) (float64, error) { return w.past(ctx, r, began) })
	session := watch.Start(w.reader, w.clock, nil)
	err = context.Cause(ctx)
	if err == nil {
		err = session.Stand(ctx, w.params.wait())
	}
	if err == nil {
		err = session.Final(ctx)
	}
	out := playbook.Report{Details: session.Details()}
	if w.params.relative() {
		out.Details["compared_with"] = began.UTC().Format(time.RFC3339)
	}
	var verdict *guard.Verdict
	if err != nil && !errors.As(err, &verdict) {
		return out, stopped(err)
	}
	return w.conclude(out, session.Newest(), verdict)
}

// stopped is the error of a gate that was interrupted.
func stopped(cause error) error {
	return &problem.Problem{What: "The gate was stopped before its verdict", Why: "Nothing was changed.",
		Next: "Apply again to read the metrics again.", Err: cause}
}

// past reads a metric at an earlier time. A failure is tried again as often as the guardrail tolerates errors.
func (w work) past(ctx context.Context, r guard.Rail, at time.Time) (float64, error) {
	for try := 1; ; try++ {
		v, err := w.readAt(ctx, r, at)
		if err == nil || errors.Is(err, guard.ErrNoValue) || try >= r.ErrorTries() {
			return v, err
		}
		if err := w.clock.Sleep(ctx, r.Every()); err != nil {
			return 0, err
		}
	}
}

func (w work) readAt(ctx context.Context, r guard.Rail, at time.Time) (float64, error) {
	ctx, done := context.WithTimeout(ctx, guard.ReadTimeout)
	defer done()
	return w.reader.ReadAt(ctx, r.Query, at)
}

// conclude completes the report with the verdict. stop is what ended the readings, or nil if every guardrail passed.
func (w work) conclude(out playbook.Report, newest []guard.Reading, stop *guard.Verdict) (playbook.Report, error) {
	v := Values{Verdict: Passed, Passed: stop == nil, Readings: make([]Reading, len(newest))}
	sentences := make([]string, 0, len(newest))
	for i, r := range newest {
		rail := w.params.Guardrails[i]
		v.Readings[i] = Reading{Name: rail.Name, State: string(r.State), Value: r.Value, Baseline: r.Baseline,
			Bounds: rail.Bounds()}
		if r.Why != "" {
			v.Readings[i].Reason = &r.Why
		}
		if r.Value != nil {
			sentences = append(sentences, fmt.Sprintf("%s is %s (%s)", rail.Name,
				strconv.FormatFloat(*r.Value, 'g', digits, bits), rail.Bounds()))
		}
	}
	if stop == nil {
		out.Message = "Passed: " + strings.Join(sentences, ", ")
	} else {
		v.Verdict = Failed
		if stop.Reading.State != guard.Breached {
			v.Verdict = Inconclusive
		}
		out.Message = text.Capitalized(v.Verdict) + ": " + why(stop)
	}
	out.Values = v
	out.Details["verdict"] = v.Verdict
	if v.Passed || !w.params.Fail {
		return out, nil
	}
	out.Message = "" // the error says it
	p := &problem.Problem{What: "The gate failed", Why: why(stop) + ".", Next: "Nothing was changed.",
		Err: errors.Join(ErrVerdict, stop.Unwrap())}
	if v.Verdict == Inconclusive {
		p.What = "The gate is inconclusive"
	}
	return out, p
}

// Precision of values in messages.
const digits, bits = 6, 64

// why says what is wrong with the guardrail that decided the verdict.
func why(v *guard.Verdict) string {
	text := fmt.Sprintf("%s: %s", v.Reading.Name, v.Reading.Why)
	if v.Count > 1 {
		text += fmt.Sprintf(" (reading %d of this kind)", v.Count)
	}
	return text
}
