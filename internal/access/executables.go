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

// CheckExecutables returns the first invalid entry's index and why it is invalid. ok is true if all entries are valid.
func CheckExecutables(entries []string) (index int, why string, ok bool) {
	for i, entry := range entries {
		if !filepath.IsAbs(entry) || filepath.Clean(entry) != entry {
			return i, "write an absolute path, such as /usr/local/bin/dbt", false
		}
	}
	return 0, "", true
}

// Check returns an error that wraps ErrRefused if the program at the absolute path may not be started. It resolves
// links in the path and in the list, because a link could hide which program is started. It refuses a path that does
// not exist.
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
