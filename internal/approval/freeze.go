package approval

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// Limits of a window's length. A longer window is not useful, and its start would have to be searched for far in the
// past.
const (
	MinFreeze = time.Minute
	MaxFreeze = 31 * 24 * time.Hour
)

// finest is the finest recurrence of a window. RFC 5545 also allows seconds, which would only cost time.
const finest = rrule.DAILY

// longestGap is the number of years within which a rule must have its first window: 29 February can be missing for
// eight years.
const longestGap = 9

// maxShift is longer than any change of clocks. shifted is how many windows can begin within it: daily rules can have
// several hours, minutes and seconds.
const (
	maxShift = 25 * time.Hour
	shifted  = 100_000
)

// epochYear is the year in which a window without a start begins to recur: its 1 January is a Monday.
const epochYear = 2024

// OutsideApproval is the value of Freeze.Outside that requires an approval outside of a maintenance window.
const OutsideApproval = "approval"

// Freeze is a recurring window: a freeze or a maintenance window. Within a freeze, nothing that makes changes runs
// without a break-glass approval. The playbooks of a maintenance window run only within it.
type Freeze struct {
	// Name is for messages and the history.
	Name string `json:"name"`
	// Recurrence is an RFC 5545 rule for the start of the windows, such as "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16".
	Recurrence string `json:"recurrence"`
	// Start is when the rule begins to apply. Zero means the beginning of epochYear.
	Start time.Time `json:"start,omitzero"`
	// Zone is the IANA time zone of the rule.
	Zone string `json:"zone"`
	// Length is how long a window lasts, in nanoseconds.
	Length time.Duration `json:"length"`
	// BreakGlass are patterns of those who may break the window. If empty, every approver may.
	BreakGlass []string `json:"break_glass,omitempty"`
	// Playbooks are the action types of a maintenance window. Unused in a freeze.
	Playbooks []string `json:"playbooks,omitempty"`
	// Outside is OutsideApproval, or empty if the playbooks are refused outside of the maintenance window. Unused in a
	// freeze.
	Outside string `json:"outside,omitempty"`
	// Runner marks a window from the runner's policy. If a playbook has windows there and in the configuration, one of
	// each must be open.
	Runner bool `json:"runner,omitempty"`

	// rule returns local times as if they were in UTC.
	rule     *rrule.RRule
	location *time.Location
}

// Parse checks f and prepares it for use. The caller loads the location, because that reads files.
func (f Freeze) Parse(zone *time.Location) (Freeze, error) {
	option, err := rrule.StrToROptionInLocation(f.Recurrence, time.UTC)
	switch {
	case err != nil:
		return f, fmt.Errorf("recurrence %q: %w; write it like FREQ=WEEKLY;BYDAY=FR;BYHOUR=16", f.Recurrence, err)
	case option.Freq > finest:
		return f, fmt.Errorf("recurrence %q is finer than daily", f.Recurrence)
	case f.Length < MinFreeze || f.Length > MaxFreeze:
		return f, fmt.Errorf("a window of %s: must be between 1m and %s", f.Length, MaxFreeze)
	case !option.Dtstart.IsZero():
		return f, fmt.Errorf("recurrence %q has a DTSTART; use start", f.Recurrence)
	}
	option.Dtstart = time.Date(epochYear, time.January, 1, 0, 0, 0, 0, time.UTC)
	if !f.Start.IsZero() {
		option.Dtstart = wall(f.Start.In(zone))
	}
	if until := untilUTC.FindString(strings.ToUpper(f.Recurrence)); until != "" {
		option.Until = wall(option.Until.In(zone))
	}
	f.location = zone
	if f.rule, err = rrule.NewRRule(*option); err != nil {
		return f, fmt.Errorf("recurrence %q: %w", f.Recurrence, err)
	}
	if !f.recurs() {
		return f, fmt.Errorf("recurrence %q never happens", f.Recurrence)
	}
	f.Zone = zone.String()
	return f, nil
}

// recurs reports whether the rule has a time within longestGap of its start. The library itself would search up to the
// year 9999.
func (f Freeze) recurs() bool {
	option := f.rule.OrigOptions
	if end := option.Dtstart.AddDate(longestGap, 0, 0); option.Until.IsZero() || option.Until.After(end) {
		option.Until = end
	}
	option.Count = 1
	bounded, err := rrule.NewRRule(option)
	return err == nil && len(bounded.All()) > 0
}

// untilUTC matches an end in UTC. An end without the Z is in local time.
var untilUTC = regexp.MustCompile(`UNTIL=[0-9T]+Z`)

// wall returns the local time that t shows, as if it were in UTC.
func wall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant returns when clocks in the window's zone show the local time. As RFC 5545 requires, a time that daylight
// saving time repeats means the first one, and a time that it skips uses the offset before the change.
func (f Freeze) instant(local time.Time) time.Time {
	const around = 24 * time.Hour
	at := func(near time.Time) time.Time {
		_, offset := near.In(f.location).Zone()
		return local.Add(-time.Duration(offset) * time.Second)
	}
	first, second := at(local.Add(-around)), at(local.Add(around))
	if !wall(first.In(f.location)).Equal(local) && wall(second.In(f.location)).Equal(local) {
		return second
	}
	return first
}

// next returns when the next window after now begins, or zero if there is none.
func (f Freeze) next(now time.Time) time.Time {
	if f.rule == nil {
		return time.Time{}
	}
	// Around a change of the clocks, an earlier local time can be in the future.
	local := wall(now.In(f.location)).Add(-maxShift)
	for range shifted {
		if local = f.rule.After(local, false); local.IsZero() {
			return local
		}
		if at := f.instant(local); at.After(now) {
			return at
		}
	}
	return time.Time{}
}

// until returns the end of the window that contains now. ok is false if there is none.
func (f Freeze) until(now time.Time) (end time.Time, ok bool) {
	if f.rule == nil {
		return time.Time{}, false
	}
	local := wall(now.In(f.location)).Add(maxShift)
	for range shifted {
		if local = f.rule.Before(local, true); local.IsZero() {
			return time.Time{}, false
		}
		if began := f.instant(local); !began.After(now) {
			end = began.Add(f.Length)
			return end, now.Before(end)
		}
		local = local.Add(-time.Nanosecond)
	}
	return time.Time{}, false
}
