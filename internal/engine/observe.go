package engine

import (
	"context"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// Observe compares the target with what the request's last execution left there, if its playbook can do that. It
// returns the difference in a sentence, empty where there is none. It changes nothing.
func (e *Engine) Observe(ctx context.Context, req Request) (string, error) {
	action, err := e.Bind(req)
	if err != nil {
		return "", err
	}
	observer, ok := action.(playbook.Observer)
	if !ok {
		return "", nil
	}
	return observer.Observe(ctx)
}
