package journal

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// identityDigits is how many hexadecimal digits of the first entry's hash identify a journal.
const identityDigits = 8

// Identity returns the journal's identity, which is that of its newest epoch. It is empty if the journal has no
// entries. A copy of a journal has the same identity; see Standing.
func Identity(ctx context.Context, s Store) (string, error) {
	epoch, err := EpochOf(ctx, s)
	return epoch.ID, err
}

// errFound ends the search for an entry.
var errFound = errors.New("found")

// entryAt returns the first entry from seq on, or the zero entry if there is none.
func entryAt(ctx context.Context, s Store, seq int64) (Entry, error) {
	var found Entry
	err := s.Entries(ctx, seq, func(e Entry) error {
		found = e
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return Entry{}, err
	}
	return found, nil
}

// Ref identifies a record in any journal.
type Ref struct {
	Journal string
	Number  int64
}

// String returns "<journal>-<number>", or only the number if the journal's identity is not known.
func (r Ref) String() string {
	if r.Journal == "" {
		return strconv.FormatInt(r.Number, 10)
	}
	return r.Journal + "-" + strconv.FormatInt(r.Number, 10)
}

// ParseRef parses the output of String.
func ParseRef(s string) (Ref, error) {
	name, number, found := strings.Cut(s, "-")
	if !found {
		name, number = "", s
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || (found && len(name) != identityDigits) || strings.Trim(name, "0123456789abcdef") != "" {
		return Ref{}, fmt.Errorf("%q is not an execution identifier such as 4f9c2a17-12", s)
	}
	return Ref{Journal: name, Number: n}, nil
}

// Mark is the newest entry of a journal that a state has seen. Its hash may be the first digits of the entry's; see
// Short.
type Mark struct {
	Journal string `json:"journal"`
	Head
}

// shortHash is how many hexadecimal digits of a hash a state keeps: 96 bits, as in TLS. To forge an entry, somebody
// would have to find one with the same 96 bits.
const shortHash = 24

// Short returns the mark as a state keeps it, once per resource: with the first digits of the hash.
func (m Mark) Short() Mark {
	m.Hash = m.Hash[:min(len(m.Hash), shortHash)]
	return m
}

// String returns the mark as the state keeps it, such as "4f9c2a17-12-ASNFZ4mrze8BI0Vn". The hash is in base64,
// which is a third shorter than hexadecimal: a state contains it once per resource, itself encoded in base64 twice.
func (m Mark) String() string {
	hash := m.Hash
	if sum, err := hex.DecodeString(hash); err == nil && len(sum) == shortHash/2 {
		hash = base64.RawURLEncoding.EncodeToString(sum)
	}
	return fmt.Sprintf("%s-%d-%s", m.Journal, m.Seq, hash)
}

// ParseMark parses what String returns, also with the hash in hexadecimal.
func ParseMark(s string) (Mark, bool) {
	const parts = 3
	fields := strings.SplitN(s, "-", parts)
	if len(fields) != parts || fields[0] == "" {
		return Mark{}, false
	}
	hash := fields[2]
	if sum, err := base64.RawURLEncoding.DecodeString(hash); err == nil && len(sum) == shortHash/2 {
		hash = hex.EncodeToString(sum)
	}
	seq, err := strconv.ParseInt(fields[1], 10, 64)
	valid := err == nil && seq >= 0 && strings.Trim(hash, "0123456789abcdef") == ""
	return Mark{Journal: fields[0], Head: Head{Seq: seq, Hash: hash}}, valid
}

// Standing is the result of comparing a journal with the mark in a state.
type Standing string

// Values of Standing.
const (
	StandingHolds      Standing = "holds"       // the journal has the entry that the state has seen
	StandingForeign    Standing = "foreign"     // the journal is a different one
	StandingRolledBack Standing = "rolled back" // the journal ends before the entry that the state has seen
	StandingEdited     Standing = "edited"      // the journal has a different entry at that position
)

// Compare compares the journal with the mark in a state. For an empty mark, and for a mark from an epoch that an
// adoption has ended, the result is StandingHolds.
func Compare(ctx context.Context, s Store, m Mark) (Standing, error) {
	if m.Journal == "" {
		return StandingHolds, nil
	}
	all, err := epochs(ctx, s)
	if err != nil {
		return "", err
	}
	if newest := len(all) - 1; newest < 0 || all[newest].ID != m.Journal {
		if slices.ContainsFunc(all, func(e Epoch) bool { return e.accepts(m.Journal) }) {
			return StandingHolds, nil
		}
		return StandingForeign, nil
	}
	if m.Seq == 0 {
		return StandingHolds, nil
	}
	e, err := entryAt(ctx, s, m.Seq)
	switch {
	case err != nil:
		return "", err
	case e.Seq == 0:
		return StandingRolledBack, nil
	case e.Seq > m.Seq, strings.HasPrefix(e.Hash, m.Hash):
		return StandingHolds, nil // a compaction may have removed it
	default:
		return StandingEdited, nil
	}
}

// Lacks reports whether the journal lacks an execution, although a state names it that was saved with this journal. m
// is the newest entry that the state has seen. It reports false if the journal can't tell: for an execution of an epoch
// that an adoption has ended, for one that a compaction may have removed, and if the journal is not as the state has
// seen it; see Compare.
func Lacks(ctx context.Context, s Store, execution Ref, m Mark) (bool, error) {
	standing, err := Compare(ctx, s, m)
	if err != nil || standing != StandingHolds || execution.Journal == "" {
		return false, err
	}
	all, err := epochs(ctx, s)
	if err != nil || len(all) == 0 {
		return false, err
	}
	newest := all[len(all)-1].ID
	if execution.Journal != newest {
		old := slices.ContainsFunc(all, func(e Epoch) bool { return e.accepts(execution.Journal) })
		return !old && m.Journal == newest, nil
	}
	e, err := entryAt(ctx, s, execution.Number)
	if err != nil || e.Seq > execution.Number {
		return false, err
	}
	return e.Seq == 0 || e.Kind != KindIntent, nil
}

// Newest returns the newest entry of the journal as a mark. It is empty if the journal has no entries.
func Newest(ctx context.Context, s Store) (Mark, error) {
	id, err := Identity(ctx, s)
	if err != nil || id == "" {
		return Mark{}, err
	}
	records, err := s.Find(ctx, Filter{All: true, Limit: 1})
	if err != nil || len(records) == 0 {
		return Mark{}, err
	}
	m := Mark{Journal: id}
	err = s.Entries(ctx, records[0].ID, func(e Entry) error {
		m.Head = Head{Seq: e.Seq, Hash: e.Hash}
		return nil
	})
	return m, err
}
