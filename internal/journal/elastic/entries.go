package elastic

import (
	"context"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// Entries implements journal.Store.
func (s *Store) Entries(ctx context.Context, from int64, visit func(journal.Entry) error) error {
	from = max(from, 1)
	for {
		v, err := s.now(ctx)
		if err != nil || from > v.head.Seq {
			return s.explain(ctx, err)
		}
		removed, err := s.removed(ctx, v)
		if err != nil {
			return s.explain(ctx, err)
		}
		for from <= v.head.Seq {
			if from = removed.after(from); from > v.head.Seq {
				break
			}
			found, err := s.documents(ctx, from, min(from+page-1, v.head.Seq))
			if err != nil {
				return s.explain(ctx, err)
			}
			if err := s.visit(ctx, found, removed, visit); err != nil {
				return err
			}
			from += page
		}
	}
}

func (s *Store) visit(ctx context.Context, found []document, removed gaps, visit func(journal.Entry) error) error {
	for _, d := range found {
		if err := ctx.Err(); err != nil {
			return s.explain(ctx, err)
		}
		if d.Kind == kindRemoved || removed.after(d.Seq) != d.Seq {
			continue
		}
		e, err := d.entry()
		if err != nil {
			return s.explain(ctx, err)
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}
