package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// againstJournal says how the plan differs from its dry run's record in the journal, or returns "".
func againstJournal(ctx context.Context, store journal.Store, c planjson.Change) (string, error) {
	if c.Preview.Record == 0 {
		return "the plan has no record in the journal", nil
	}
	rec, err := store.Get(ctx, c.Preview.Record)
	if errors.Is(err, journal.ErrNotFound) || err == nil && !rec.DryRun {
		return fmt.Sprintf("the journal has no dry run %d", c.Preview.Record), nil
	}
	if err != nil {
		return "", err
	}
	proof, err := engine.EvidenceOf(rec)
	switch {
	case errors.Is(err, journal.ErrDamaged):
		return "its record in the journal was edited", nil
	case err != nil:
		return "", err
	case proof.Digest != c.Preview.Digest:
		return fmt.Sprintf("dry run %d in the journal is about another digest, %s", rec.ID, proof.Digest), nil
	case proof.Identity != c.Preview.Identity:
		return "its identity is not that of the target in the journal", nil
	case proof.Content != c.Preview.Content:
		return "its content is not what the journal recorded", nil
	case proof.Text != c.DryRun:
		return "its text is not the dry run in the journal", nil
	case proof.Payload != c.Preview.Payload:
		return "its payload is not the one of the dry run in the journal", nil
	}
	return "", nil
}

// sign returns an armored signature of a payload, made by ssh-keygen, which asks for a passphrase on the terminal and
// uses ssh-agent for a key that is only there.
func (a *approving) sign(ctx context.Context, env Environment, payload string) (string, error) {
	key, err := a.keyFile(env)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-n", approval.Namespace, "-f", key)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(payload), &out, &problems
	if err := cmd.Run(); err != nil {
		return "", &problem.Problem{What: "The approval could not be signed",
			Why:  strings.TrimSpace(fmt.Sprintf("ssh-keygen: %s. %s", err, problems.String())),
			Next: "Nothing was written. Name a key with --key. For a key in ssh-agent, name its .pub file.", Err: err}
	}
	signature := strings.TrimSpace(out.String())
	return signature, approval.CheckSignature(signature)
}

// keyFile returns the path of the key to sign with.
func (a *approving) keyFile(env Environment) (string, error) {
	if a.key != "" {
		return a.key, nil
	}
	folder := filepath.Join(env.Getenv("HOME"), ".ssh")
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", &problem.Problem{What: "There is no key to sign with", Why: "No usual key is in " + folder + ".",
		Next: "Name one with --key. For a key in ssh-agent, name its .pub file."}
}
