package engine

import (
	"fmt"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// tooShort returns the warning about a configured timeout that ends before the waits of the execution do, or "".
func (r *Review) tooShort(req Request) string {
	longest := time.Duration(0)
	for _, rail := range req.watched() {
		longest = max(longest, rail.After())
	}
	least := r.Waits + longest
	if req.Timeout == 0 || req.Timeout >= least {
		return ""
	}
	return fmt.Sprintf("timeouts stops it after %s, and it waits for %s, so it can't succeed. Raise timeouts.",
		text.Duration(req.Timeout), text.Duration(least))
}
