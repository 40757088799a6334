package approval

import (
	"fmt"
	"strings"
	"time"
)

// PayloadFormat names the text that an approver signs, and its version.
const PayloadFormat = "remediation-approval-v2"

// Namespace is the namespace of the SSH signatures. Because of it, the signature on an email or a commit by the same
// key is not an approval.
const Namespace = "remediation"

// Payload is the line that an approver signs, without a line end: the format, the playbook, the target, the digest, and
// the record that showed it, such as "4f9c2a17-12". Playbook and target are included only for the reader: the digest
// already covers them. The record is the first dry run with this digest since its last execution. Each execution
// therefore needs a new signature, and a signature for one journal is not valid in another.
func Payload(playbook, target, digest, shown string) string {
	return fmt.Sprintf("%s %s %s %s shown=%s", PayloadFormat, escape(playbook), escape(target), escape(digest),
		escape(shown))
}

// plainBytes are the bytes that a payload does not escape. None of them has a meaning within single quotes in a shell.
const plainBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/@,+*[]"

// escape replaces every byte that is not in plainBytes with % and two hexadecimal digits. No name can then split into
// several fields.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(plainBytes, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// signedText returns what a signature must cover: the payload and, if the approval claims them, break-glass and the
// time.
func signedText(payload string, breakGlass bool, at string) string {
	if breakGlass {
		payload += " break-glass"
	}
	if at != "" {
		payload += " approved_at=" + escape(at)
	}
	return payload
}

// SignCommand returns the shell command that signs text and prints the signature.
func SignCommand(text string) string {
	return fmt.Sprintf("printf '%%s' '%s' | ssh-keygen -Y sign -n %s -f ~/.ssh/id_ed25519", text, Namespace)
}

// stamp formats a time for messages.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
