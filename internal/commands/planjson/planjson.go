// Package planjson reads the executions in a saved plan from the output of "terraform show -json".
package planjson

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

const (
	// source is the end of the provider's address, which begins with the registry's host.
	source = "/applylens/remediation"
	// prefix is the beginning of the provider's resource types.
	prefix = "remediation_"
	// maxBytes bounds the input. A plan of 1,000 executions has about 20 MB.
	maxBytes = 512 << 20
)

// Kind is what a plan does with a resource.
type Kind string

// Kinds of changes.
const (
	Runs     Kind = "run"      // the playbook runs
	MayRun   Kind = "may_run"  // it runs if run_if, which is unknown at plan, is true at apply
	Unknown  Kind = "unknown"  // what runs is known only at apply
	Skips    Kind = "skip"     // run_if is false
	Undoes   Kind = "undo"     // a destroy runs the undo of the last execution
	Forgets  Kind = "forget"   // a destroy removes the resource from the state; nothing runs
	Settings Kind = "settings" // only approvals, guardrails, or other settings change; nothing runs
)

// Approval is the status of an execution's approval.
type Approval string

// Values of Approval. It is empty where nothing runs.
const (
	NotNeeded Approval = "not_needed"
	Given     Approval = "given"
	Missing   Approval = "missing"
	// Reviewed means that reviews at a forge decide, which a plan does not show.
	Reviewed Approval = "forge"
	// Later means that the status is known only at apply.
	Later Approval = "unknown"
)

// Plan is a saved plan.
type Plan struct {
	// Terraform is the version of the program that made the plan.
	Terraform string
	// Errored reports that the plan is incomplete, because planning failed.
	Errored bool
	// Changes are the changes to the provider's resources, in the order of the plan.
	Changes []Change
	// Others counts the changes to resources of other providers.
	Others int
	// Signatures reports that a provider block requires signatures.
	Signatures bool
}

// Change is a planned change to one resource.
type Change struct {
	Address, Type string
	Kind          Kind
	// Operation is "create", "update", or "delete". A replacement is a create.
	Operation string
	// DryRun is the text of the dry run in the layout without indentation, or empty if it is unknown.
	DryRun string
	// Preview is empty if it is unknown. For a delete, it has only the target.
	Preview Preview
	// Approval is the status of the approval.
	Approval Approval
	// Undo is the action that a destroy runs, and Execution the identifier of the execution that it undoes.
	Undo      Action
	Execution string
	// Values are the planned values as JSON, and Unknowns marks those that are unknown.
	Values, Unknowns json.RawMessage
}

// Preview contains the members of the attribute preview that all playbooks have.
type Preview struct {
	Target  string `json:"target"`
	Command string `json:"command"`
	Digest  string `json:"digest"`
	Risk    string `json:"risk"`
	// Seconds is the estimated duration.
	Seconds  int64    `json:"estimated_duration_seconds"`
	CostUSD  float64  `json:"estimated_cost_usd"`
	Required bool     `json:"approval_required"`
	Reasons  []string `json:"approval_reasons"`
	Payload  string   `json:"approval_payload"`
	// Granted is nil if a forge decides.
	Granted  *bool  `json:"approval_granted"`
	Record   int64  `json:"record"`
	Identity string `json:"identity"`
	Content  string `json:"content"`
	UndoText string `json:"undo"`
}

// Action is a playbook with its parameters.
type Action struct {
	Type   string `json:"action_type"`
	Params string `json:"params"`
}

// document is the part of the plan's JSON that is read.
type document struct {
	FormatVersion string `json:"format_version"`
	Terraform     string `json:"terraform_version"`
	Errored       bool   `json:"errored"`
	// Planned is in every plan, and not in a state, which has the same format version.
	Planned json.RawMessage `json:"planned_values"`
	Changes []struct {
		Address  string `json:"address"`
		Mode     string `json:"mode"`
		Type     string `json:"type"`
		Provider string `json:"provider_name"`
		Change   struct {
			Actions []string        `json:"actions"`
			Before  json.RawMessage `json:"before"`
			After   json.RawMessage `json:"after"`
			Unknown json.RawMessage `json:"after_unknown"`
		} `json:"change"`
	} `json:"resource_changes"`
	Configuration struct {
		Providers map[string]struct {
			FullName    string          `json:"full_name"`
			Expressions json.RawMessage `json:"expressions"`
		} `json:"provider_config"`
	} `json:"configuration"`
}

// attributes contains the attributes of a resource that are read.
type attributes struct {
	DryRun    string  `json:"dry_run"`
	Preview   Preview `json:"preview"`
	Status    string  `json:"status"`
	OnDestroy string  `json:"on_destroy"`
	Rollback  *Action `json:"rollback_action"`
	ID        string  `json:"id"`
}

// Read reads the output of "terraform show -json".
func Read(r io.Reader) (Plan, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return Plan{}, invalid(err.Error())
	}
	if len(content) > maxBytes {
		return Plan{}, invalid(fmt.Sprintf("It has more than %d bytes.", maxBytes))
	}
	if strings.HasPrefix(string(content), "PK") {
		return Plan{}, invalid("It is a saved plan, not its JSON.")
	}
	var d document
	if err := json.Unmarshal(content, &d); err != nil {
		return Plan{}, invalid("It is not JSON: " + err.Error() + ".")
	}
	if !strings.HasPrefix(d.FormatVersion, "1.") {
		return Plan{}, invalid(fmt.Sprintf("Its format_version is %q, but only 1.x is supported.", d.FormatVersion))
	}
	if d.Planned == nil {
		return Plan{}, invalid("It has no planned_values. Without a plan's file, \"terraform show -json\" prints the " +
			"state.")
	}
	p := Plan{Terraform: d.Terraform, Errored: d.Errored, Signatures: d.signatures()}
	for _, c := range d.Changes {
		if c.Mode != "managed" || slices.Equal(c.Change.Actions, []string{"no-op"}) {
			continue
		}
		if !strings.HasPrefix(c.Type, prefix) || !strings.HasSuffix(c.Provider, source) {
			p.Others++
			continue
		}
		change := Change{Address: c.Address, Type: c.Type, Values: c.Change.After, Unknowns: c.Change.Unknown}
		if err := change.read(c.Change.Actions, c.Change.Before); err != nil {
			return Plan{}, invalid(fmt.Sprintf("%s: %s.", c.Address, err))
		}
		p.Changes = append(p.Changes, change)
	}
	return p, nil
}

func invalid(why string) error {
	return &problem.Problem{What: "Invalid plan", Why: why,
		Next: "Make it with: terraform show -json PLAN >plan.json"}
}

// read decodes what the change does.
func (c *Change) read(actions []string, prior json.RawMessage) error {
	var was, now attributes
	if err := decode(prior, &was); err != nil {
		return err
	}
	if err := decode(c.Values, &now); err != nil {
		return err
	}
	c.Operation = "update"
	if slices.Contains(actions, "create") {
		c.Operation = "create"
	}
	if !slices.Contains(actions, "create") && !slices.Contains(actions, "update") {
		c.Operation, c.Kind = "delete", Forgets
		c.Preview = Preview{Target: was.Preview.Target}
		if was.OnDestroy == "rollback" && was.Rollback != nil && slices.Contains(actions, "delete") {
			c.Kind, c.Undo, c.Execution, c.Approval = Undoes, *was.Rollback, was.ID, Later
		}
		return nil
	}
	c.DryRun, c.Preview = text.Outdented(now.DryRun), now.Preview
	return c.classify(now)
}

// classify sets the kind of a create or an update, and the status of its approval.
func (c *Change) classify(now attributes) error {
	var unknown struct {
		Preview json.RawMessage `json:"preview"`
		DryRun  bool            `json:"dry_run"`
		Status  bool            `json:"status"`
		RunIf   bool            `json:"run_if"`
	}
	if err := decode(c.Unknowns, &unknown); err != nil {
		return err
	}
	var granted struct {
		Granted bool `json:"approval_granted"`
	}
	whole := string(unknown.Preview) == "true"
	if !whole {
		if err := decode(unknown.Preview, &granted); err != nil {
			return err
		}
	}
	switch {
	case !unknown.Status && now.Status == "skipped":
		c.Kind = Skips
	case !unknown.Status:
		c.Kind = Settings
	case whole, unknown.DryRun:
		c.Kind = Unknown
	case unknown.RunIf:
		c.Kind = MayRun
	default:
		c.Kind = Runs
	}
	if c.Kind != Skips && c.Kind != Settings {
		c.Approval = c.Preview.standing(whole, granted.Granted || unknown.DryRun && c.Preview.Required)
	}
	return nil
}

// standing returns the status of the approval.
func (p Preview) standing(previewUnknown, grantedUnknown bool) Approval {
	switch {
	case previewUnknown, grantedUnknown:
		return Later
	case !p.Required:
		return NotNeeded
	case p.Granted == nil:
		return Reviewed
	case *p.Granted:
		return Given
	default:
		return Missing
	}
}

// decode is json.Unmarshal for JSON that may be absent.
func decode(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// signatures reports whether a provider block says that signatures are required.
func (d document) signatures() bool {
	for _, p := range d.Configuration.Providers {
		var block struct {
			Approval struct {
				Signatures struct {
					Value any `json:"constant_value"`
				} `json:"signatures"`
			} `json:"approval"`
		}
		if strings.HasSuffix(p.FullName, source) && decode(p.Expressions, &block) == nil &&
			block.Approval.Signatures.Value == "required" {
			return true
		}
	}
	return false
}
