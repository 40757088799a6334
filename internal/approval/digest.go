package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// DigestFormat names the canonical text below and its version; it also separates this digest from all others.
const DigestFormat = "remediation.preview.v1"

// Binding is what a digest binds: what was reviewed is what runs.
type Binding struct {
	// Format is always DigestFormat.
	Format string `json:"format"`
	// Playbook is the action type.
	Playbook string `json:"playbook"`
	// Target names the thing that is changed.
	Target string `json:"target"`
	// Inputs are the playbook's own inputs that are set.
	Inputs json.RawMessage `json:"inputs"`
	// Triggers as configured.
	Triggers map[string]string `json:"triggers"`
	// Commands are what will be executed.
	Commands []string `json:"commands"`
	// Facts are the live facts whose change must stop the apply.
	Facts json.RawMessage `json:"facts"`
}

// Canonical returns the canonical JSON (RFC 8785) of s.
func (s Binding) Canonical() ([]byte, error) {
	s.Format = DigestFormat
	if s.Triggers == nil {
		s.Triggers = map[string]string{}
	}
	if s.Commands == nil {
		s.Commands = []string{}
	}
	if err := s.plain(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the reviewed subject: %w", err)
	}
	canonical, err := jcs.Transform(text)
	if err != nil {
		return nil, fmt.Errorf("canonical JSON of the reviewed subject: %w", err)
	}
	return canonical, nil
}

// plain refuses text that is not UTF-8: encoded, different texts of that kind would become the same.
func (s Binding) plain() error {
	texts := append([]string{s.Playbook, s.Target, string(s.Inputs), string(s.Facts)}, s.Commands...)
	for k, v := range s.Triggers {
		texts = append(texts, k, v)
	}
	for _, t := range texts {
		if !utf8.ValidString(t) {
			return fmt.Errorf("the reviewed subject holds text that is not UTF-8: %q", t)
		}
	}
	return nil
}

// Digest returns "sha256:" and the hexadecimal SHA-256 of the canonical JSON of s.
func (s Binding) Digest() (string, error) {
	canonical, err := s.Canonical()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
