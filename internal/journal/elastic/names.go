package elastic

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// DefaultIndex is the default name of a journal.
const DefaultIndex = "remediation-journal"

const (
	// entriesPart is between the journal's name and the number of a range. No journal name may contain it, so no
	// journal's ranges match the pattern of another.
	entriesPart = "-entries-"
	leasesPart  = "-leases"
	// rangeSize is how many entries a range contains. An entry takes about a kilobyte.
	rangeSize = 1_000_000
	// longestName leaves room for the suffix: index names have at most 255 bytes.
	longestName = 200
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// CheckIndex explains in one sentence why a journal can't have the name, or returns an empty string.
func CheckIndex(name string) string {
	switch {
	case name == "":
		return "It is empty."
	case len(name) > longestName:
		return fmt.Sprintf("It has %d characters; the maximum is %d.", len(name), longestName)
	case !nameForm.MatchString(name):
		return "It must consist of lower-case letters, digits, dots, hyphens and underscores, and begin with a " +
			"letter or a digit."
	case strings.Contains(name+"-", entriesPart):
		return fmt.Sprintf("It contains %q, which names the indices of another journal.",
			strings.TrimSuffix(entriesPart, "-"))
	}
	return ""
}

// pattern matches the journal's ranges and nothing else.
func (s *Store) pattern() string { return s.index + entriesPart + "*" }

func (s *Store) leases() string { return s.index + leasesPart }

// rangeOf returns the index of an entry. Sequence numbers begin with 1.
func (s *Store) rangeOf(seq int64) string {
	return fmt.Sprintf("%s%s%06d", s.index, entriesPart, (seq-1)/s.limits.rangeSize)
}

// opensRange reports whether the entry is the first one of its range.
func (s *Store) opensRange(seq int64) bool { return (seq-1)%s.limits.rangeSize == 0 }

// lastOfRange returns the last sequence number in the range of seq.
func (s *Store) lastOfRange(seq int64) int64 {
	return ((seq-1)/s.limits.rangeSize + 1) * s.limits.rangeSize
}

// documentID returns the identifier of an entry's document.
func documentID(seq int64) string { return strconv.FormatInt(seq, 10) }
