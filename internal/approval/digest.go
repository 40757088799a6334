package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// DigestFormat names the canonical text of a Binding and its version. Because the text contains it, no other hash can
// be taken for a digest.
const DigestFormat = "remediation.preview.v2"

// DefaultTimeout is the value of Safety.Timeout if no timeout is configured.
const DefaultTimeout = "default"

// digestPrefix is the prefix of every digest. A pin may omit it.
const digestPrefix = "sha256:"

// Binding is what a digest covers, which guarantees that the execution is the one that was reviewed. Every member is in
// the plan. The values behind the two hashes are in the journal.
type Binding struct {
	// Format is always DigestFormat.
	Format string `json:"format"`
	// Playbook is the action type.
	Playbook string `json:"playbook"`
	// Target names what is changed.
	Target string `json:"target"`
	// Inputs are the playbook's own inputs that are set.
	Inputs json.RawMessage `json:"inputs"`
	// Triggers are the configured triggers.
	Triggers map[string]string `json:"triggers"`
	// Commands are what will be executed.
	Commands []string `json:"commands"`
	// Safety limits the execution and says how it is undone.
	Safety Safety `json:"safety"`
	// Identity is the Hash of what identifies the target, regardless of its name.
	Identity string `json:"identity"`
	// Content is the Hash of what runs.
	Content string `json:"content"`
}

// Safety contains the configured limits of an execution, and its undo.
type Safety struct {
	// Guardrails is a JSON list.
	Guardrails json.RawMessage `json:"guardrails"`
	// Timeout is a duration such as "20m0s", or DefaultTimeout.
	Timeout string `json:"timeout"`
	// OnDestroy is "keep" or "rollback".
	OnDestroy string `json:"on_destroy"`
	// Undo is the action that undoes the change with its parameters, or null.
	Undo json.RawMessage `json:"undo"`
}

// Canonical returns the canonical JSON (RFC 8785) of b.
func (b Binding) Canonical() ([]byte, error) {
	b.Format = DigestFormat
	if b.Triggers == nil {
		b.Triggers = map[string]string{}
	}
	if b.Commands == nil {
		b.Commands = []string{}
	}
	if err := b.plain(); err != nil {
		return nil, err
	}
	return canonical(b)
}

// plain refuses text that is not UTF-8, because JSON would encode different invalid texts as the same one.
func (b Binding) plain() error {
	texts := append([]string{b.Playbook, b.Target, string(b.Inputs), string(b.Safety.Guardrails), b.Safety.Timeout,
		b.Safety.OnDestroy, string(b.Safety.Undo)}, b.Commands...)
	for k, v := range b.Triggers {
		texts = append(texts, k, v)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return fmt.Errorf("the reviewed content contains text that is not UTF-8: %q", t)
		}
	}
	return nil
}

// Digest returns "sha256:" and the hexadecimal SHA-256 of the canonical JSON of b.
func (b Binding) Digest() (string, error) {
	text, err := b.Canonical()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return digestPrefix + hex.EncodeToString(sum[:]), nil
}

// Hash returns the hexadecimal SHA-256 of the canonical JSON of v.
func Hash(v any) (string, error) {
	text, err := canonical(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func canonical(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the reviewed content: %w", err)
	}
	out, err := jcs.Transform(text)
	if err != nil {
		return nil, fmt.Errorf("canonical JSON of the reviewed content: %w", err)
	}
	return out, nil
}

// leastPin is the minimum number of hexadecimal digits that pin a digest: 80 bits, too many to search for a second
// preimage.
const leastPin = 20

// CheckPin describes what is wrong with a pinned digest, or returns "". A pin may omit "sha256:" and all but the first
// 20 hexadecimal digits.
func CheckPin(pin string) string {
	digits := strings.TrimPrefix(pin, digestPrefix)
	switch {
	case strings.Trim(digits, "0123456789abcdef") != "":
		return "it contains characters other than lowercase hexadecimal digits"
	case len(digits) < leastPin:
		return fmt.Sprintf("it has fewer than %d hexadecimal digits", leastPin)
	case len(digits) > hex.EncodedLen(sha256.Size):
		return fmt.Sprintf("it has more than %d hexadecimal digits", hex.EncodedLen(sha256.Size))
	default:
		return ""
	}
}

// Pins reports whether pin matches digest.
func Pins(pin, digest string) bool {
	return CheckPin(pin) == "" &&
		strings.HasPrefix(strings.TrimPrefix(digest, digestPrefix), strings.TrimPrefix(pin, digestPrefix))
}
