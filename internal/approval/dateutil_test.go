package approval

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// dateutil prints the first occurrences of rules according to python-dateutil, in seconds since 1970. It uses time
// zones of zoneinfo, because those of dateutil end in 2037.
const dateutil = `
import datetime, json, sys, zoneinfo
from dateutil import rrule
out = []
for rule, zone, start, most in json.load(sys.stdin):
    begin = datetime.datetime.fromisoformat(start).replace(tzinfo=zoneinfo.ZoneInfo(zone))
    times = []
    for t in rrule.rrulestr(rule, dtstart=begin):
        if len(times) == most or t.year > 2060:
            break
        times.append(int(t.astimezone(datetime.timezone.utc).timestamp()))
    out.append(times)
json.dump(out, sys.stdout)
`

// TestWindowsRecurAsInDateutil compares the library's rules with those of python-dateutil, including daylight saving
// time.
func TestWindowsRecurAsInDateutil(t *testing.T) {
	t.Parallel()
	const most, lastYear = 400, 2060
	rules := []string{
		"FREQ=WEEKLY;BYDAY=FR;BYHOUR=16;BYMINUTE=0;BYSECOND=0",
		"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,SU;BYHOUR=1;BYMINUTE=15;BYSECOND=0",
		"FREQ=WEEKLY;WKST=SU;INTERVAL=2;BYDAY=TU,SU;BYHOUR=23;BYMINUTE=59;BYSECOND=59",
		"FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", // within the hours that daylight saving time skips and repeats
		"FREQ=DAILY;INTERVAL=3;BYHOUR=3;BYMINUTE=0;BYSECOND=0",
		"FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0,30;BYSECOND=0;COUNT=90",
		"FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=18;BYMINUTE=0;BYSECOND=0",
		"FREQ=MONTHLY;BYMONTHDAY=31;BYHOUR=0;BYMINUTE=0;BYSECOND=0",
		"FREQ=MONTHLY;BYDAY=2TU;BYHOUR=22;BYMINUTE=0;BYSECOND=0",
		"FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=12;BYMINUTE=0;BYSECOND=0",
		"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
		"FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24;BYHOUR=0;BYMINUTE=0;BYSECOND=0",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=6;BYMINUTE=0;BYSECOND=0;COUNT=5",
		"FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYHOUR=6;BYMINUTE=0;BYSECOND=0;COUNT=9",
		"FREQ=YEARLY;BYYEARDAY=-1,100;BYHOUR=6;BYMINUTE=0;BYSECOND=0;COUNT=9",
		"FREQ=WEEKLY;BYDAY=SA;BYHOUR=10;BYMINUTE=0;BYSECOND=0;UNTIL=20270101T000000Z",
	}
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}
	var asked [][]any
	for _, rule := range rules {
		for _, zone := range zones {
			asked = append(asked, []any{rule, zone, "2024-01-01T00:00:00", most})
		}
	}
	input, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	python := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(acctest.DBT(t)), "python"), "-c", dateutil)
	python.Stdin = strings.NewReader(string(input))
	output, err := python.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr) //nolint:errorlint,forcetypeassert // of Output
	}
	var want [][]int64
	if err := json.Unmarshal(output, &want); err != nil {
		t.Fatal(err)
	}
	for i, ask := range asked {
		rule, zone := ask[0].(string), ask[1].(string) //nolint:forcetypeassert // as above
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Freeze{Name: "w", Recurrence: rule, Length: time.Hour}.Parse(place)
		if err != nil {
			t.Errorf("%s in %s: %v", rule, zone, err)
			continue
		}
		next := f.rule.Iterator()
		for n, at := range want[i] {
			local, ok := next()
			if got := f.instant(local); !ok || got.Unix() != at {
				t.Errorf("%s in %s: occurrence %d is %s, and %s in dateutil", rule, zone, n+1, got.In(place),
					time.Unix(at, 0).In(place))
				break
			}
		}
		if n := len(want[i]); n > 1 { // a window of an hour is open at its beginning, and the next one is announced
			begin, then := time.Unix(want[i][n-2], 0), time.Unix(want[i][n-1], 0)
			if end, open := f.until(begin); !open || !end.Equal(begin.Add(time.Hour)) || !f.next(begin).Equal(then) {
				t.Errorf("%s in %s at %s: open %t until %s, then %s", rule, zone, begin, open, end, f.next(begin))
			}
		}
		if at, more := next(); more && len(want[i]) < most && at.Year() <= lastYear {
			t.Errorf("%s in %s: more than %d occurrences", rule, zone, len(want[i]))
		}
	}
}

// TestRulesThatNeverRecurAreRefused would run into the test's timeout if such a rule were searched without end.
func TestRulesThatNeverRecurAreRefused(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
		"FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31", "FREQ=WEEKLY;UNTIL=20200101T000000Z",
		"FREQ=YEARLY;BYWEEKNO=20;BYMONTH=12",
	} {
		_, err := Freeze{Name: "w", Recurrence: rule, Length: time.Hour}.Parse(time.UTC)
		if err == nil || !strings.Contains(err.Error(), "never happens") {
			t.Errorf("%s: %v", rule, err)
		}
	}
}
