package elastic

import (
	"context"

	"github.com/applylens/terraform-provider-remediation/internal/journal"
)

// BeginAfter implements journal.Store. The new entry must follow the entry up to which the request's records were read.
// If another process adds a record in between, BeginAfter starts over.
func (s *Store) BeginAfter(ctx context.Context, subject journal.Subject, intent journal.Intent,
	after int64) (journal.Record, error) {
	body, err := journal.Encode(journal.KindDryRun, intent)
	if err != nil {
		return journal.Record{}, err
	}
	subject = validSubject(subject)
	_, record, err := s.append(ctx, func(v *view) (journal.Entry, error) {
		if err := s.makeSearchable(ctx, v); err != nil {
			return journal.Entry{}, err
		}
		newest, err := s.part(ctx, journal.Filter{Request: subject.Request, All: true, Limit: 1}, v, nil)
		if err != nil {
			return journal.Entry{}, err
		}
		if len(newest) > 0 && newest[0].ID > after {
			return journal.Entry{}, journal.ErrStale
		}
		return journal.Entry{Execution: v.head.Seq + 1, Kind: journal.KindDryRun, Subject: subject,
			Body: validBody(body)}, nil
	})
	return record, s.explain(ctx, err)
}
