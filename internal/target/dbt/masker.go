package dbt

import (
	"regexp"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/redact"
)

// masker masks secrets in what dbt writes: those that are known, and lines and values of profiles.yml in messages about
// that file, which may hold a password that nothing else reads.
type masker struct{ known *redact.Redactor }

var (
	// quotedLine matches a line of a file as dbt quotes it after an error in its YAML: `7  |   password: "x`. In JSON, the
	// line ends at an escaped line break.
	quotedLine = regexp.MustCompile(`(\d+ *\| )(?:[^\n\\]|\\[^n])*`)
	// refusedValue matches a value of a profile that its adapter refuses: `invalid: 31415926 is not of type 'string'`.
	refusedValue = regexp.MustCompile(`(Credentials in profile .*? invalid: ).*?( is not (?:of type|one of|valid under) )`)
)

// String returns s with every secret masked.
func (m masker) String(s string) string {
	s = m.known.String(s)
	if !strings.Contains(s, "profile") {
		return s
	}
	if strings.Contains(s, "profiles.yml") && strings.Contains(s, "Syntax error near line") {
		s = quotedLine.ReplaceAllString(s, "${1}"+redact.Mask)
	}
	return refusedValue.ReplaceAllString(s, "${1}"+redact.Mask+"${2}")
}
