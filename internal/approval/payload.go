package approval

import (
	"fmt"
	"strings"
	"time"
)

// PayloadFormat names the text that an approver signs, and its version.
const PayloadFormat = "remediation-approval-v1"

// Namespace is the namespace of the SSH signatures: what signs mail or commits with the same key is no approval.
const Namespace = "remediation"

// Payload is the one line that an approver signs, without a line end: the format, the playbook, the target and the
// digest. The digest binds the other two already; they are there to be read. Where the same change has been executed
// before, the identifier of its last execution follows, so that each execution needs a signature of its own.
func Payload(playbook, target, digest string, after int64) string {
	line := fmt.Sprintf("%s %s %s %s", PayloadFormat, escape(playbook), escape(target), escape(digest))
	if after > 0 {
		line += fmt.Sprintf(" after=%d", after)
	}
	return line
}

// plainBytes are the bytes that stand for themselves in a payload. None of them means anything within single quotes of
// a shell.
const plainBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/@,+*[]"

// escape writes every other byte as % and two hexadecimal digits, so that no name can break the line into other fields.
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

// signedText is what a signature has to cover: the payload and, where they are claimed, the break-glass and the time.
func signedText(payload string, breakGlass bool, at string) string {
	if breakGlass {
		payload += " break-glass"
	}
	if at != "" {
		payload += " approved_at=" + escape(at)
	}
	return payload
}

// SignCommand is the shell command that signs text; it prints the signature.
func SignCommand(text string) string {
	return fmt.Sprintf("printf '%%s' '%s' | ssh-keygen -Y sign -n %s -f ~/.ssh/id_ed25519", text, Namespace)
}

// stamp writes a time for people.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
