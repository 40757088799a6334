package commands

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/commands/planjson"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/markup"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
	"github.com/applylens/terraform-provider-remediation/internal/text"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

func approveCommand() command {
	return command{
		name: "approve", args: "PLAN.json --as NAME [flags]",
		summary: "Show what a saved plan executes, and sign what you approve",
		help: "PLAN.json is the output of \"terraform show -json PLAN\". For each execution that lacks an approval, " +
			"the command computes the digest from the plan, refuses a digest that does not match what the plan " +
			"shows, compares the dry run with its record in the journal, shows it, and asks. What you approve is " +
			"signed with ssh-keygen, which also uses ssh-agent. Standard output has the approval blocks to commit.",
		exits: "something was refused, or was not approved",
		bind: func(flags *pflag.FlagSet) runner {
			var a approving
			flags.StringVar(&a.as, "as", "", "your name, as in the provider's approvers and allowed_signers")
			flags.StringVar(&a.key, "key", "", "SSH key file; for a key in ssh-agent, its .pub file "+
				"(default: the first of ~/.ssh/id_ed25519, id_ecdsa, id_rsa)")
			flags.BoolVar(&a.nameOnly, "name-only", false, "approve by name and digest, without a signature")
			flags.StringVar(&a.ticket, "ticket", "", "a reference for the journal, such as a change request")
			flags.StringVar(&a.out, "out", "", "add the approvals to this .tfvars.json file instead of printing blocks")
			flags.BoolVar(&a.withoutJournal, "without-journal", false, "don't compare with the journal")
			flags.BoolVar(&a.asJSON, "json", false, "write JSON")
			a.flags(flags)
			return a.run
		},
	}
}

type approving struct {
	place
	as, key, ticket, out             string
	nameOnly, withoutJournal, asJSON bool
}

// signedOff is an execution that the user has approved.
type signedOff struct {
	Address string `json:"address"`
	Digest  string `json:"digest"`
	// Undo reports that the undo of a destroy was approved.
	Undo bool `json:"undo,omitempty"`
	grant
}

// grant has the arguments of an approval block.
type grant struct {
	By        string `json:"approved_by"`
	Signature string `json:"signature,omitempty"`
	Ticket    string `json:"ticket,omitempty"`
}

func (a *approving) run(ctx context.Context, env Environment, args []string) (err error) {
	if len(args) != 1 || args[0] == stdin {
		return usageError{"Expected a file with the plan's JSON, because standard input is needed for your answers."}
	}
	if strings.TrimSpace(a.as) == "" {
		return usageError{"Say who you are with --as."}
	}
	if a.nameOnly && a.out != "" {
		return usageError{"--name-only and --out exclude each other."}
	}
	if a.out != "" {
		if _, err := variablesAt(a.out); err != nil { // before anybody signs
			return err
		}
	}
	plan, _, err := readPlan(env, args)
	if err != nil {
		return err
	}
	store, err := a.records(ctx, env)
	if err != nil {
		return err
	}
	if store != nil {
		defer func() { err = errors.Join(err, store.Close()) }()
	}
	in := bufio.NewReader(env.Stdin)
	var done []signedOff
	refused := 0
	for _, c := range plan.Changes {
		if !pending(env, c) {
			continue
		}
		var seen seen
		if c.Kind == planjson.Undoes {
			c, seen, err = ofUndo(ctx, store, c)
		} else {
			seen, err = ofPlan(ctx, store, c)
		}
		if err != nil {
			return err
		}
		if c.Approval == planjson.NotNeeded || c.Approval == planjson.Given {
			continue
		}
		ok, err := show(env, c, seen)
		if err != nil {
			return err
		}
		if !ok || !asked(env, in, fmt.Sprintf("Approve %s as %s? [y/N] ", oneLine(c.Address), oneLine(a.as))) {
			refused++
			say(env.Stderr, "Not approved: %s\n\n", oneLine(c.Address))
			continue
		}
		one := signedOff{Address: c.Address, Digest: c.Preview.Digest, Undo: c.Kind == planjson.Undoes,
			grant: grant{By: a.as, Ticket: a.ticket}}
		if !a.nameOnly {
			if one.Signature, err = a.sign(ctx, env, c.Preview.Payload); err != nil {
				return err
			}
		}
		done = append(done, one)
	}
	if err := a.write(env, done); err != nil {
		return err
	}
	return total(env, len(done), refused)
}

// pending reports whether the change may lack an approval. It prints why a change without a preview can't be approved.
func pending(env Environment, c planjson.Change) bool {
	if c.Kind == planjson.Unknown {
		say(env.Stderr, "%s can't be approved yet: an input is not known before apply. If the execution needs an "+
			"approval, that apply refuses it. Then plan again.\n\n", oneLine(c.Address))
	}
	return c.Kind == planjson.Undoes || c.Approval == planjson.Missing
}

// total prints how many executions were approved and refused, and returns errFinding if any were refused.
func total(env Environment, approved, refused int) error {
	if approved+refused == 0 {
		say(env.Stderr, "There is nothing to approve.\n")
		return nil
	}
	say(env.Stderr, "%s approved, %d not.\n", text.Count(int64(approved), "execution"), refused)
	if refused > 0 {
		return errFinding
	}
	return nil
}

// records opens the journal, or returns nil if there is none to compare with.
func (a *approving) records(ctx context.Context, env Environment) (journal.Store, error) {
	if a.withoutJournal {
		return nil, nil //nolint:nilnil // no journal
	}
	p, err := a.resolved(ctx, env)
	if err != nil {
		return nil, err
	}
	if p.index == "" && p.path == defaultJournal && p.absent() {
		say(env.Stderr, "No journal was found, so the dry runs are not compared with their records. Name the journal "+
			"with --journal or --index.\n\n")
		return nil, nil //nolint:nilnil // no journal
	}
	return a.open(ctx, env, false)
}

// seen is the result of the checks before an execution is shown.
type seen struct {
	// covered is what the digest covers.
	covered approval.Binding
	// why says why the execution can't be approved, or is empty.
	why string
}

// ofPlan checks an execution that the plan shows.
func ofPlan(ctx context.Context, store journal.Store, c planjson.Change) (seen, error) {
	binding, err := provider.Binding(ctx, c.Type, tfkit.Planned{Values: c.Values, Unknowns: c.Unknowns,
		Operation: c.Operation})
	s := seen{covered: binding}
	switch {
	case errors.Is(err, tfkit.ErrUnknown):
		s.why = "an input is not known before apply, so there is no digest yet"
		return s, nil
	case err != nil:
		s.why = "its digest can't be computed from the plan: " + err.Error()
		return s, nil //nolint:nilerr // the reason is shown
	}
	if s.why, err = contradiction(c, binding); err == nil && s.why == "" && store != nil {
		s.why, err = againstJournal(ctx, store, c)
	}
	return s, err
}

// show prints what a signature covers, or why the execution can't be approved, and reports whether it can.
func show(env Environment, c planjson.Change, s seen) (bool, error) {
	if s.why != "" {
		say(env.Stderr, "Refused: %s: %s.\n", oneLine(c.Address), oneLine(s.why))
		return false, nil
	}
	covered, err := json.MarshalIndent(s.covered, "  ", "  ")
	if err != nil {
		return false, err
	}
	what := ""
	if c.Kind == planjson.Undoes {
		what = ": its destroy undoes execution " + oneLine(c.Execution)
	}
	say(env.Stderr, "%s%s\n\n%s\nThe digest covers:\n  %s\n\n%s\n%s\n\n", oneLine(c.Address), what,
		markup.Visible(c.DryRun), markup.Visible(string(covered)), c.Preview.Digest, oneLine(c.Preview.Payload))
	return true, nil
}

func oneLine(s string) string { return markup.Line(s) }

// contradiction says how the digest or the payload differs from what the plan shows, or returns "".
func contradiction(c planjson.Change, b approval.Binding) (string, error) {
	digest, err := b.Digest()
	if err != nil {
		return "", err
	}
	_, shown, _ := strings.Cut(c.Preview.Payload, " shown=")
	ref, _ := journal.ParseRef(shown) // zero if it is none
	switch {
	case digest != c.Preview.Digest:
		return fmt.Sprintf("the plan says that its digest is %s, but what it shows has the digest %s", c.Preview.Digest,
			digest), nil
	case c.DryRun == "":
		return "the plan shows no dry run", nil
	case c.Preview.Payload == "":
		return "the plan has no payload to sign, because it could not write the journal", nil
	case ref.Journal == "" || c.Preview.Payload != approval.Payload(b.Playbook, b.Target, digest, ref.String()):
		return "its payload is not the one of this playbook, target, and digest", nil
	}
	return "", nil
}

// asked asks a question, and reports whether the answer is "y" or "yes".
func asked(env Environment, in *bufio.Reader, question string) bool {
	say(env.Stderr, "%s", question)
	line, err := in.ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	if err != nil && answer == "" {
		say(env.Stderr, "\n")
	}
	return answer == "y" || answer == "yes"
}

// write prints the approvals, or adds them to a .tfvars.json file.
func (a *approving) write(env Environment, done []signedOff) error {
	switch {
	case a.out != "":
		variables, err := variablesAt(a.out) // again: questions take time
		if err == nil {
			err = variables.add(done)
		}
		if err != nil {
			return err
		}
		say(env.Stderr, "Wrote %s.\n", a.out)
		if !a.asJSON {
			return nil
		}
	case !a.asJSON:
		for _, one := range done {
			say(env.Stdout, "%s", one.block(a.nameOnly))
		}
		return nil
	}
	if done == nil {
		done = []signedOff{}
	}
	return writeJSON(env.Stdout, done)
}

// block returns the configuration to paste into the resource.
func (s signedOff) block(nameOnly bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", oneLine(s.Address))
	if s.Undo {
		b.WriteString("# Its undo: apply this block, which runs nothing, and then destroy.\n")
	}
	digest := quoted(strings.TrimPrefix(s.Digest, "sha256:"))
	switch {
	case nameOnly && s.Ticket == "":
		fmt.Fprintf(&b, "approved_by     = %s\nexpected_digest = %s\n\n", quoted(s.By), digest)
		return b.String()
	case nameOnly: // only a block has a ticket
		fmt.Fprintf(&b, "expected_digest = %s\n\n", digest)
	}
	fmt.Fprintf(&b, "approval {\n  approved_by = %s\n", quoted(s.By))
	if s.Ticket != "" {
		fmt.Fprintf(&b, "  ticket      = %s\n", quoted(s.Ticket))
	}
	if nameOnly {
		return b.String() + "}\n\n"
	}
	fmt.Fprintf(&b, "  signature   = <<-EOT\n")
	for line := range strings.Lines(s.Signature) {
		fmt.Fprintf(&b, "    %s\n", strings.TrimSpace(line))
	}
	fmt.Fprintf(&b, "  EOT\n}\n\n")
	return b.String()
}

// quoted returns s as a string literal in Terraform's language.
func quoted(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(fmt.Sprintf("%q", s))
}

// variableName is the Terraform variable in the file that --out writes. It maps the address of a resource to its
// approvals.
const variableName = "remediation_approvals"

// outVariables contains the variables of the .tfvars.json file that --out names.
type outVariables struct {
	file   output
	all    map[string]json.RawMessage
	grants map[string][]grant
}

// variablesAt reads a .tfvars.json file, which may contain the approvals of other people and other variables.
func variablesAt(path string) (outVariables, error) {
	v := outVariables{all: map[string]json.RawMessage{}, grants: map[string][]grant{}}
	var err error
	if v.file, err = outputAt(path); err != nil || v.file.mode == 0 || !v.file.regular {
		return v, err
	}
	was, err := os.ReadFile(path)
	if err != nil {
		return v, notWritten(path, err)
	}
	if err := json.Unmarshal(was, &v.all); err != nil {
		return v, notWritten(path, fmt.Errorf("it has no variables in JSON: %w", err))
	}
	if was := v.all[variableName]; was != nil {
		if err := json.Unmarshal(was, &v.grants); err != nil {
			return v, notWritten(path, fmt.Errorf("%s: %w", variableName, err))
		}
	}
	return v, nil
}

// add adds approvals to the file.
func (v outVariables) add(done []signedOff) error {
	for _, one := range done {
		v.grants[one.Address] = append(v.grants[one.Address], one.grant)
	}
	var err error
	if v.all[variableName], err = json.Marshal(v.grants); err != nil {
		return err
	}
	out, err := json.MarshalIndent(v.all, "", "  ")
	if err != nil {
		return err
	}
	const committed = 0o644
	return v.file.write(append(out, '\n'), cmp.Or(v.file.mode, committed))
}
