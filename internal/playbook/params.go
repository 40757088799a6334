package playbook

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Decode reads a playbook's parameters. An unknown or mistyped one is a problem.
func Decode(params json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.DisallowUnknownFields()
	decoder.UseNumber() // a large whole number must reach the command line as it was written
	if err := decoder.Decode(into); err != nil {
		return &problem.Problem{What: "Invalid parameters", Why: err.Error() + ".", Next: "See the playbook's inputs in the documentation.", Err: err}
	}
	return nil
}

// Invalid is a parameter that can't be accepted: which one, what is wrong with it, and what is allowed.
func Invalid(allowed, why string, path ...string) error {
	return &problem.Problem{What: fmt.Sprintf("Invalid %s", path[0]), Why: why, Next: allowed, Path: path}
}
