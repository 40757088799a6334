package dbt

import "time"

// Batches returns the start of the first batch and the end of the last batch that a run of s builds for a microbatch
// model, and the number of batches, as dbt computes them (dbt/materializations/incremental/microbatch.py). incremental
// reports that the table exists and is not rebuilt. A count of zero means unknown.
func (m Model) Batches(s Selection, incremental bool, now time.Time) (first, end time.Time, count int) {
	step, ok := batchSteps[m.BatchSize]
	if !ok || now.IsZero() {
		return first, end, 0
	}
	end = now
	if s.EventTimeEnd != "" {
		end = eventTime(s.EventTimeEnd)
	}
	if floor := truncate(end, m.BatchSize); !floor.Equal(end) {
		end = step(floor, 1)
	}
	switch {
	case s.EventTimeStart != "":
		first = truncate(eventTime(s.EventTimeStart), m.BatchSize)
	case incremental:
		first = step(end, -m.Lookback-1)
	default:
		begin := eventTime(m.Begin)
		if begin.IsZero() {
			return first, end, 0
		}
		first = truncate(begin, m.BatchSize)
	}
	const most = 1_000_000
	for at := first; count == 0 || at.Before(end) && count < most; at = step(at, 1) {
		count++
	}
	return first, end, count
}

// batchSteps move the start of a batch by n batches.
var batchSteps = map[string]func(t time.Time, n int) time.Time{
	"hour":  func(t time.Time, n int) time.Time { return t.Add(time.Duration(n) * time.Hour) },
	"day":   func(t time.Time, n int) time.Time { return t.AddDate(0, 0, n) },
	"month": func(t time.Time, n int) time.Time { return t.AddDate(0, n, 0) },
	"year":  func(t time.Time, n int) time.Time { return t.AddDate(n, 0, 0) },
}

// truncate returns the start of the batch that contains t, in UTC.
func truncate(t time.Time, size string) time.Time {
	t = t.UTC()
	switch size {
	case "year":
		return time.Date(t.Year(), time.January, 1, 0, 0, 0, 0, time.UTC)
	case "month":
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	case "day":
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	default:
		return t.Truncate(time.Hour)
	}
}

// eventTimeLayouts are the accepted formats of an event time. A time without an offset is in UTC.
var eventTimeLayouts = [...]string{time.DateOnly, "2006-01-02T15:04:05", time.DateTime, time.RFC3339}

// eventTime parses an event time. Zero: it is not valid.
func eventTime(s string) time.Time {
	for _, layout := range eventTimeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
