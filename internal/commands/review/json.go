package review

import "github.com/applylens/terraform-provider-remediation/internal/commands/planjson"

// Document is the plan for other programs. New versions may add members, but never change or remove one.
type Document struct {
	// ApprovalsMissing is how many executions lack an approval.
	ApprovalsMissing int `json:"approvals_missing"`
	// Incomplete reports that planning failed.
	Incomplete bool     `json:"incomplete"`
	Changes    []Change `json:"changes"`
}

// Change is a planned change, a row of the table. Members that don't apply are empty.
type Change struct {
	Address   string            `json:"address"`
	Type      string            `json:"type"`
	Operation string            `json:"operation"`
	Kind      planjson.Kind     `json:"kind"`
	What      string            `json:"what"`
	Target    string            `json:"target"`
	Risk      string            `json:"risk,omitempty"`
	Approval  planjson.Approval `json:"approval,omitempty"`
	Approvers string            `json:"approvers,omitempty"`
	Reasons   []string          `json:"approval_reasons,omitempty"`
	Payload   string            `json:"approval_payload,omitempty"`
	Digest    string            `json:"digest,omitempty"`
	Record    int64             `json:"record,omitempty"`
	Seconds   int64             `json:"estimated_duration_seconds"`
	CostUSD   float64           `json:"estimated_cost_usd"`
	DryRun    string            `json:"dry_run,omitempty"`
}

// JSON returns the plan for other programs.
func JSON(p planjson.Plan) Document {
	d := Document{Incomplete: p.Errored, Changes: []Change{}}
	for _, r := range rowsOf(p) {
		c := r.change
		if c.Approval == planjson.Missing {
			d.ApprovalsMissing++
		}
		d.Changes = append(d.Changes, Change{
			Address: c.Address, Type: c.Type, Operation: c.Operation, Kind: c.Kind, What: r.what, Target: r.where,
			Risk: r.risk, Approval: c.Approval, Approvers: r.who, Reasons: c.Preview.Reasons,
			Payload: c.Preview.Payload, Digest: c.Preview.Digest, Record: c.Preview.Record,
			Seconds: c.Preview.Seconds, CostUSD: c.Preview.CostUSD, DryRun: c.DryRun,
		})
	}
	return d
}
