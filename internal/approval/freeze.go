package approval

import (
	"fmt"
	"time"

	"github.com/teambition/rrule-go"
)

// Bounds of a window. A longer one is no window, and would have to be looked for far in the past.
const (
	MinFreeze = time.Minute
	MaxFreeze = 31 * 24 * time.Hour
)

// finest is the finest recurrence of a window. RFC 5545 allows every second, which would only cost time to walk
// through.
const finest = rrule.DAILY

// epochYear is where a window without a start begins to recur: 1 January, a Monday.
const epochYear = 2024

// Freeze is a recurring window within which nothing runs but with a break-glass approval of its own.
type Freeze struct {
	// Name is for messages and the history.
	Name string `json:"name"`
	// Recurrence is an RFC 5545 rule of the windows' beginnings, such as "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16".
	Recurrence string `json:"recurrence"`
	// Start is the first time at which the rule holds, in local time of the zone. Zero: long ago.
	Start time.Time `json:"start,omitzero"`
	// Zone is an IANA time zone, in which the rule is read.
	Zone string `json:"zone"`
	// Length is how long a window lasts, in nanoseconds.
	Length time.Duration `json:"length"`
	// BreakGlass are patterns of who may break it. None: whoever may approve.
	BreakGlass []string `json:"break_glass,omitempty"`

	rule *rrule.RRule
}

// Parse checks f and makes it ready to be asked. The location is loaded by the caller, since that reads files.
func (f Freeze) Parse(zone *time.Location) (Freeze, error) {
	option, err := rrule.StrToROptionInLocation(f.Recurrence, zone)
	switch {
	case err != nil:
		return f, fmt.Errorf("recurrence %q: %w; write it like FREQ=WEEKLY;BYDAY=FR;BYHOUR=16", f.Recurrence, err)
	case option.Freq > finest:
		return f, fmt.Errorf("recurrence %q is finer than daily", f.Recurrence)
	case f.Length < MinFreeze || f.Length > MaxFreeze:
		return f, fmt.Errorf("a window of %s: allowed are 1m to %s", f.Length, MaxFreeze)
	case !option.Dtstart.IsZero():
		return f, fmt.Errorf("recurrence %q has a DTSTART; use start", f.Recurrence)
	}
	option.Dtstart = time.Date(epochYear, time.January, 1, 0, 0, 0, 0, zone)
	if !f.Start.IsZero() {
		option.Dtstart = f.Start.In(zone)
	}
	if f.rule, err = rrule.NewRRule(*option); err != nil {
		return f, fmt.Errorf("recurrence %q: %w", f.Recurrence, err)
	}
	f.Zone = zone.String()
	return f, nil
}

// until returns the end of the window that now lies in; ok is false where it lies in none.
func (f Freeze) until(now time.Time) (end time.Time, ok bool) {
	if f.rule == nil {
		return time.Time{}, false
	}
	began := f.rule.Before(now, true)
	if began.IsZero() {
		return time.Time{}, false
	}
	end = began.Add(f.Length)
	return end, now.Before(end)
}
