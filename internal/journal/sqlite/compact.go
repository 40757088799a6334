package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// Compact implements journal.Store. It adds the entry and removes the others in one transaction. The file keeps its
// size, and SQLite reuses the free pages.
func (s *Store) Compact(ctx context.Context, c journal.Compaction) (journal.Entry, error) {
	body, err := journal.Encode(journal.KindCompaction, c)
	if err != nil {
		return journal.Entry{}, err
	}
	var entry journal.Entry
	err = s.update(ctx, func(ctx context.Context, tx transaction) error {
		for _, gap := range c.Gaps {
			if err := checkGap(ctx, tx, gap); err != nil {
				return err
			}
		}
		var err error
		if entry, err = s.insert(ctx, tx, journal.Entry{Kind: journal.KindCompaction, Body: body}); err != nil {
			return err
		}
		for _, gap := range c.Gaps {
			_, told := tx.ExecContext(ctx, "INSERT INTO gaps (first, last) VALUES (?, ?)", gap.From, gap.To)
			_, removed := tx.ExecContext(ctx, "DELETE FROM entries WHERE seq BETWEEN ? AND ?", gap.From, gap.To)
			if err := errors.Join(told, removed); err != nil {
				return err
			}
		}
		return nil
	})
	return entry, s.explain(ctx, err)
}

// checkGap refuses a gap if entries are missing, differ from those that the caller examined, or belong to an open
// execution.
func checkGap(ctx context.Context, tx transaction, gap journal.Gap) error {
	var there, open int64
	var prev, hash sql.NullString
	err := tx.QueryRowContext(ctx, `SELECT count(*),
			(SELECT prev FROM entries WHERE seq = ?1), (SELECT hash FROM entries WHERE seq = ?2),
			(SELECT count(*) FROM open_executions WHERE execution BETWEEN ?1 AND ?2)
		FROM entries WHERE seq BETWEEN ?1 AND ?2`, gap.From, gap.To).Scan(&there, &prev, &hash, &open)
	if err != nil {
		return err
	}
	if there != gap.To-gap.From+1 || prev.String != gap.Prev || hash.String != gap.Hash || open != 0 {
		return fmt.Errorf("entries %d to %d: %w", gap.From, gap.To, journal.ErrGaps)
	}
	return nil
}
