package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Backup writes a consistent copy of the journal to a new file of mode 0600, while other processes may write to the
// journal. It fails if the file exists.
func (s *Store) Backup(ctx context.Context, path string) error {
	const mode = 0o600
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err == nil {
		err = file.Close() // SQLite writes into an empty file, and keeps its mode
	}
	if err != nil {
		return &problem.Problem{What: fmt.Sprintf("The backup %s can't be written", path), Why: err.Error() + ".",
			Next: "Nothing was changed. Name a new file in a folder that can be written.",
			Err:  fmt.Errorf("%w: %w", journal.ErrUnavailable, err)}
	}
	if _, err := s.write.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return s.explain(ctx, errors.Join(err, os.Remove(path)))
	}
	return nil
}
