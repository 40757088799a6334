package provider

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// policyVariable names the file with the runner's policy.
const policyVariable = "REMEDIATION_POLICY"

// runner is what the machine that runs Terraform decides, regardless of the configuration: the policy in the file that
// REMEDIATION_POLICY names, and the environment.
type runner struct {
	// path is the path of the policy, or empty if there is none.
	path string
	// approval and journal are the blocks in the policy, or nil if it has none.
	approval *approvalBlock
	journal  *journalBlock
	// hosts and executables list what may be opened and started. Nil: the policy has no such list.
	hosts       access.Hosts
	executables access.Executables
	// notes say what the policy does not restrict, in sentences.
	notes  []string
	getenv func(string) string
}

// theRunner reads the environment and the policy that it names. A policy that can't be used is an error: without it,
// the configuration would decide alone.
func theRunner(ctx context.Context) (runner, error) {
	_, set := os.LookupEnv(policyVariable)
	return readRunner(ctx, os.Getenv, set)
}

// readRunner is theRunner with an environment. set reports whether the environment names a policy.
func readRunner(ctx context.Context, getenv func(string) string, set bool) (runner, error) {
	r := runner{getenv: getenv, path: getenv(policyVariable)}
	if !set {
		return r, nil
	}
	if r.path == "" {
		return runner{}, r.unusable(policyVariable + " is set, and empty")
	}
	by := access.Self()
	data, err := access.ReadGuarded(r.path, by)
	if err != nil {
		return runner{}, r.unusable(err.Error())
	}
	document, err := parsePolicy(ctx, data)
	if err == nil {
		err = r.take(document)
	}
	if err != nil {
		return runner{}, r.unusable(err.Error())
	}
	if by.Root() {
		r.notes = append(r.notes, "Terraform runs as root, which can change the file.")
	}
	return r, nil
}

func (r *runner) unusable(why string) error {
	return &problem.Problem{
		What: "The runner's policy can't be used", Why: fmt.Sprintf("%s, which %s names: %s.", orEmpty(r.path),
			policyVariable, strings.TrimSuffix(why, ".")),
		Next: "Nothing has run. The policy is a JSON file with an absolute path that belongs to a user other than " +
			"the one who runs Terraform, and that neither group nor others can write. The guide \"The runner's " +
			"policy\" describes it.",
	}
}

func orEmpty(path string) string {
	if path == "" {
		return "The path"
	}
	return path
}

// take checks that the policy is valid without the configuration, and stores it in r.
func (r *runner) take(d policyDocument) error {
	if i, why, ok := access.CheckHosts(d.Hosts); !ok {
		return fmt.Errorf("hosts[%d]: %q: %s", i, d.Hosts[i], why)
	}
	if i, why, ok := access.CheckExecutables(d.Executables); !ok {
		return fmt.Errorf("executables[%d]: %q: %s", i, d.Executables[i], why)
	}
	if _, err := d.policy(*r); err != nil {
		return located(err)
	}
	if j := d.Journal; j != nil {
		switch {
		case j.Elasticsearch == nil && j.Path.IsNull():
			return fmt.Errorf("journal: set path or elasticsearch, since the configuration's journal is not used")
		case j.Elasticsearch != nil && !j.Path.IsNull():
			return fmt.Errorf("journal: path and elasticsearch are both set")
		case !j.Path.IsNull() && !filepath.IsAbs(j.Path.ValueString()):
			return fmt.Errorf("journal.path: %q is relative to the configuration's folder, which its authors control; "+
				"set an absolute path",
				j.Path.ValueString())
		}
		if _, err := d.retention(); err != nil {
			return located(err)
		}
	}
	r.approval, r.journal, r.hosts, r.executables = d.Approval, d.Journal, d.Hosts, d.Executables
	r.notes = append(r.notes, r.gaps()...)
	return nil
}

// located formats a problem in the policy with its place.
func located(err error) error {
	p := problem.Of(err, "")
	return fmt.Errorf("%s: %s: %s %s", problem.Where(p.Path), p.What, p.Why, p.Next)
}

// gaps says what the policy leaves to the configuration.
func (r *runner) gaps() []string {
	var gaps []string
	if r.hosts == nil {
		gaps = append(gaps, "It has no hosts, so the configuration decides which addresses are opened.")
	}
	if r.executables == nil {
		gaps = append(gaps, "It has no executables, so the configuration decides which dbt is started.")
	}
	if r.journal == nil {
		gaps = append(gaps, "It has no journal, so the configuration decides which journal records used approvals.")
	}
	return gaps
}

// note describes the policy for the reader of a plan, or is empty if it restricts everything that it can.
func (r *runner) note(ignored []string) string {
	notes := slices.Clone(r.notes)
	if len(ignored) > 0 {
		notes = append(notes, fmt.Sprintf("The configuration's %s is not used, because the policy has its own.",
			strings.Join(ignored, ", ")))
	}
	if r.path == "" || len(notes) == 0 {
		return ""
	}
	return "The policy is " + r.path + ". " + strings.Join(notes, " ")
}
