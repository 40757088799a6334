package access

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Executables lists the programs that may be started, by absolute paths. Nil allows every program; an empty list allows
// none.
type Executables []string

// CheckExecutables returns why an entry can't be used, and its index; ok where all can.
func CheckExecutables(entries []string) (index int, why string, ok bool) {
	for i, entry := range entries {
		if !filepath.IsAbs(entry) || filepath.Clean(entry) != entry {
			return i, "write an absolute path, such as /usr/local/bin/dbt", false
		}
	}
	return 0, "", true
}

// Check returns an error that wraps ErrRefused where the program at the absolute path may not be started. Links are
// resolved on both sides, so that neither a link in the project nor one in the list hides what is started. A path
// that does not exist is refused.
func (e Executables) Check(program string) error {
	if e == nil {
		return nil
	}
	resolved, err := filepath.EvalSymlinks(program)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	for _, entry := range e {
		if listed, err := filepath.EvalSymlinks(entry); err == nil && listed == resolved {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is not among the programs that the runner allows (%s)", ErrRefused, resolved,
		text.OrNone(strings.Join(e, ", ")))
}
