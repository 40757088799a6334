package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // freeze windows need time zones on systems that have none

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// minAge is the shortest max_age that is accepted.
const minAge = time.Minute

// maxMinimum is the largest number of approvers that a policy may demand.
const maxMinimum = 10

// maxAffected bounds min_affected. No change affects more.
const maxAffected = 1_000_000

// signaturesRequired is the value of signatures with which only signed approvals count.
const signaturesRequired = "required"

type approvalBlock struct {
	Approvers          []string            `tfsdk:"approvers"`
	Enforce            types.String        `tfsdk:"enforce"`
	Groups             map[string][]string `tfsdk:"groups"`
	Aliases            map[string][]string `tfsdk:"aliases"`
	Minimum            types.Number        `tfsdk:"minimum"`
	SeparationOfDuties types.Bool          `tfsdk:"separation_of_duties"`
	Requester          types.String        `tfsdk:"requester"`
	MaxAge             types.String        `tfsdk:"max_age"`
	Signatures         types.String        `tfsdk:"signatures"`
	AllowedSigners     types.String        `tfsdk:"allowed_signers"`
	Rules              []ruleBlock         `tfsdk:"rule"`
	Freeze             []freezeBlock       `tfsdk:"freeze"`
	Maintenance        []maintenanceBlock  `tfsdk:"maintenance_window"`
	Forge              *forgeBlock         `tfsdk:"forge"`
}

type ruleBlock struct {
	Name        types.String `tfsdk:"name"`
	Playbooks   []string     `tfsdk:"playbooks"`
	Risk        types.String `tfsdk:"risk"`
	Targets     []string     `tfsdk:"targets"`
	MinCostUSD  types.Number `tfsdk:"min_cost_usd"`
	MinAffected types.Number `tfsdk:"min_affected"`
	Minimum     types.Number `tfsdk:"minimum"`
	Approvers   []string     `tfsdk:"approvers"`
}

type freezeBlock struct {
	Name       types.String `tfsdk:"name"`
	Recurrence types.String `tfsdk:"recurrence"`
	Duration   types.String `tfsdk:"duration"`
	TimeZone   types.String `tfsdk:"time_zone"`
	Start      types.String `tfsdk:"start"`
	BreakGlass []string     `tfsdk:"break_glass"`
}

// maintenanceBlock is a window outside of which the named playbooks do not run, or need an approval.
type maintenanceBlock struct {
	Name       types.String `tfsdk:"name"`
	Recurrence types.String `tfsdk:"recurrence"`
	Duration   types.String `tfsdk:"duration"`
	TimeZone   types.String `tfsdk:"time_zone"`
	Start      types.String `tfsdk:"start"`
	BreakGlass []string     `tfsdk:"break_glass"`
	Playbooks  []string     `tfsdk:"playbooks"`
	Outside    types.String `tfsdk:"outside"`
}

func (m maintenanceBlock) window() (w approval.Freeze, at string, err error) {
	w, at, err = freezeBlock{Name: m.Name, Recurrence: m.Recurrence, Duration: m.Duration, TimeZone: m.TimeZone,
		Start: m.Start, BreakGlass: m.BreakGlass}.window()
	w.Playbooks = m.Playbooks
	if m.Outside.ValueString() == approval.OutsideApproval {
		w.Outside = approval.OutsideApproval
	}
	return w, at, err
}

func approverList(description string) schema.ListAttribute {
	return schema.ListAttribute{
		Optional: true, ElementType: types.StringType, MarkdownDescription: description,
		Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues(),
			listvalidator.NoNullValues(), listvalidator.ValueStringsAre(tfkit.Label())},
	}
}

func namesByName(description string) schema.MapAttribute {
	return schema.MapAttribute{
		Optional: true, ElementType: types.ListType{ElemType: types.StringType}, MarkdownDescription: description,
		Validators: []validator.Map{mapvalidator.NoNullValues(),
			mapvalidator.ValueListsAre(listvalidator.NoNullValues())},
	}
}

func minimumAttribute(description string) schema.NumberAttribute {
	return schema.NumberAttribute{Optional: true, MarkdownDescription: description,
		Validators: []validator.Number{tfkit.Whole(1, maxMinimum)}}
}

func approvalSchema() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "The approval policy. Without this block, anyone may approve, and `approved_by` is " +
			"enough.",
		Attributes: map[string]schema.Attribute{
			"approvers": approverList("Patterns such as `*@example.com` that `approved_by` must match. `*` matches " +
				"any characters except `/`. Case is ignored. `group:NAME` matches the members of a group."),
			"enforce": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "`apply` (default): plan warns about a missing approval, and apply refuses to " +
					"run. `plan`: plan fails too.",
				Validators: []validator.String{stringvalidator.OneOf(string(approval.EnforceApply),
					string(approval.EnforcePlan))},
			},
			"groups": namesByName("Groups of approvers: lists of patterns by group name."),
			"aliases": namesByName("Other names of a person, such as a forge login, by the person's main name. Each " +
				"person counts once."),
			"minimum": minimumAttribute("Number of different people who must approve an execution that needs an " +
				"approval. Default: 1."),
			"separation_of_duties": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "`true`: the requester of the change can't approve it. If the " +
					"requester is unknown, no approval counts.",
			},
			"requester": optionalString("Requester of the change. Default: from the environment, `PULL_AUTHOR` " +
				"(Atlantis), `GITHUB_ACTOR` (GitHub " +
				"Actions), `GITLAB_USER_EMAIL` and `GITLAB_USER_LOGIN` (GitLab CI)."),
			"max_age": optionalString("How long an approval is valid, such as `24h`; at least `1m`. The time starts " +
				"at the `approved_at` that the signature covers. Without one, it starts at the first plan that " +
				"showed the change, or at an earlier `approved_at`."),
			"signatures": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "`required`: only signed approvals count. `optional` (default): a signature is " +
					"not needed, but one that is present must be valid.",
				Validators: []validator.String{stringvalidator.OneOf(signaturesRequired, "optional")},
			},
			"allowed_signers": optionalText("Signers whose signatures are accepted, in OpenSSH's " +
				"`allowed_signers` format, usually `file(\"allowed_signers\")`. " +
				"Supported options: `cert-authority`, `namespaces`, `valid-after`, `valid-before`. Times are in UTC."),
		},
		Blocks: map[string]schema.Block{
			"rule":   ruleSchema(),
			"freeze": freezeSchema(), "maintenance_window": maintenanceSchema(),
			"forge": forgeSchema(),
		},
	}
}

func ruleSchema() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "A rule that requires an approval, or more approvers. It applies if all of the " +
			"conditions that are set match.",
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{Required: true, MarkdownDescription: "Name of the rule, shown in messages.",
				Validators: []validator.String{tfkit.Label()}},
			"playbooks": approverList("Condition: one of these action types, such as `rerun_dbt`."),
			"risk": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Condition: at least this risk, `low`, `medium` or `high`.",
				Validators: []validator.String{stringvalidator.OneOf(string(playbook.RiskLow),
					string(playbook.RiskMedium), string(playbook.RiskHigh))}},
			"targets": approverList("Condition: a name of the target matches one of these patterns. `*` matches any " +
				"characters. Names are `preview.target`, the other names of the same target, such as indices behind an " +
				"alias and loopback names, and for dbt the warehouse, such as `dbt:duckdb:/srv/shop.duckdb` or " +
				"`dbt:postgres:db.example.com:5432/shop`, alone and with `/SCHEMA`."),
			"min_cost_usd": schema.NumberAttribute{Optional: true,
				MarkdownDescription: "Condition: at least this estimated cost in US dollars.",
				Validators:          []validator.Number{tfkit.Decimal(0, maxCostUSD)}},
			"min_affected": schema.NumberAttribute{Optional: true,
				MarkdownDescription: "Condition: the change affects at least this many things: dbt models, or, for " +
					"other playbooks, the entries of `preview.affected`.",
				Validators: []validator.Number{tfkit.Whole(1, maxAffected)}},
			"minimum":   minimumAttribute("Number of different people who must approve. Default: 1."),
			"approvers": approverList("Patterns of the approvers who count for this rule. Default: all approvers."),
		}},
	}
}

// windowAttributes returns the attributes that freeze and maintenance windows share.
func windowAttributes() map[string]schema.Attribute {
	required := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Required: true, MarkdownDescription: description,
			Validators: []validator.String{tfkit.Label()}}
	}
	return map[string]schema.Attribute{
		"name": required("Name of the window, shown in messages and the history."),
		"recurrence": required("When the window begins, as an RFC 5545 rule, daily or less often, such as " +
			"`FREQ=WEEKLY;BYDAY=FR;BYHOUR=16;BYMINUTE=0;BYSECOND=0`."),
		"duration":  required("Length of the window, such as `64h`; at most `744h`."),
		"time_zone": required("IANA time zone of the rule, such as `Europe/Berlin`."),
		"start": optionalString("RFC 3339 time of the first possible window. Default: midnight on 2024-01-01 " +
			"in the time zone."),
		"break_glass": approverList("Patterns of the approvers who may override the window. Default: all approvers."),
	}
}

func freezeSchema() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "A recurring window in which nothing runs without an approval that has " +
			"`break_glass = true`. The time is that of the machine that runs Terraform.",
		NestedObject: schema.NestedBlockObject{Attributes: windowAttributes()},
	}
}

func maintenanceSchema() schema.Block {
	attributes := windowAttributes()
	attributes["playbooks"] = schema.ListAttribute{Required: true, ElementType: types.StringType,
		MarkdownDescription: "Action types that run only within the window, such as `refresh_synonyms`. If a " +
			"playbook has several windows, one of them must be open.", Validators: approverList("").Validators}
	attributes["outside"] = schema.StringAttribute{Optional: true,
		MarkdownDescription: "`refuse` (default): outside the window, the playbooks run only with an approval that " +
			"has `break_glass = true`. `approval`: outside the window, they need an approval.",
		Validators: []validator.String{stringvalidator.OneOf("refuse", approval.OutsideApproval)}}
	return schema.ListNestedBlock{
		MarkdownDescription: "A recurring window. The playbooks that it names don't run outside it.",
		NestedObject:        schema.NestedBlockObject{Attributes: attributes},
	}
}

// policy converts the block, to which the runner's policy was applied, to an approval policy. It loads time zones and
// reads the environment, because approval.Policy does no I/O.
func (b block) policy(r runner) (approval.Policy, error) {
	a := b.Approval
	if a == nil {
		return approval.Policy{}, nil
	}
	p := approval.Policy{
		Approvers: a.Approvers, Enforce: approval.Enforce(a.Enforce.ValueString()), Groups: a.Groups,
		Aliases: a.Aliases,
		Minimum: int(whole(a.Minimum)), SeparationOfDuties: a.SeparationOfDuties.ValueBool(),
		SignaturesRequired: a.Signatures.ValueString() == signaturesRequired,
	}
	if p.SeparationOfDuties {
		p.Requester, p.Requesters = a.Requester.ValueString(), r.requesters(a.Requester)
	}
	for _, r := range a.Rules {
		p.Rules = append(p.Rules, approval.Rule{
			Name: r.Name.ValueString(), Playbooks: r.Playbooks, Risk: r.Risk.ValueString(), Targets: r.Targets,
			MinCostUSD: decimal(r.MinCostUSD),
			MinCount:   int(whole(r.MinAffected)), Minimum: int(whole(r.Minimum)), Approvers: r.Approvers,
		})
	}
	var err error
	if p.MaxAge, err = a.maxAge(); err != nil {
		return approval.Policy{}, err
	}
	if p.Signers, err = a.signers(); err != nil {
		return approval.Policy{}, err
	}
	for i, f := range a.Freeze {
		window, at, err := f.window()
		if err != nil {
			return approval.Policy{}, windowProblem(f.Name, err, "freeze", strconv.Itoa(i), at)
		}
		p.Freeze = append(p.Freeze, window)
	}
	for i, m := range a.Maintenance {
		window, at, err := m.window()
		if err != nil {
			return approval.Policy{}, windowProblem(m.Name, err, "maintenance_window", strconv.Itoa(i), at)
		}
		window.Runner = r.approval != nil && slices.ContainsFunc(r.approval.Maintenance,
			func(own maintenanceBlock) bool { return own.Name.Equal(m.Name) })
		p.Maintenance = append(p.Maintenance, window)
	}
	if r.approval != nil {
		p.RunnerApprovers, p.Claimed = r.approval.Approvers, a.claimed(*r.approval)
	}
	return p, p.Check(func(actionType string) bool { return slices.Contains(ActionTypes(), actionType) })
}

func windowProblem(name types.String, err error, path ...string) error {
	kind := map[string]string{"freeze": "freeze", "maintenance_window": "maintenance"}[path[0]]
	return problemIn(append([]string{"approval"}, path...), "Invalid "+kind+" window",
		fmt.Sprintf("Window %q: %s.", name.ValueString(), err), "Nothing has run. Correct the window.")
}

func (a approvalBlock) maxAge() (time.Duration, error) {
	if a.MaxAge.IsNull() {
		return 0, nil
	}
	d, err := parseDuration(a.MaxAge.ValueString())
	if err == nil && d < minAge {
		err = fmt.Errorf("it is less than %s, which is too short to get an approval", tfkit.Short(minAge))
	}
	if err != nil {
		return 0, problemAt("approval.max_age", "Invalid max_age", err.Error()+".", "Write a duration such as 24h.")
	}
	return d, nil
}

// parseDuration is time.ParseDuration with an error for readers who do not know Go.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a valid duration such as 24h", text)
	}
	return d, nil
}

func (a approvalBlock) signers() ([]approval.Signer, error) {
	switch {
	case !a.AllowedSigners.IsNull():
	case a.Signatures.ValueString() == signaturesRequired:
		return nil, problemAt("approval.allowed_signers", "There is nothing to check signatures against",
			"signatures is \"required\" and allowed_signers is not set, so nobody could approve "+
				"anything.", "Set allowed_signers, for example to file(\"allowed_signers\").")
	default:
		return nil, nil
	}
	signers, err := approval.ParseSigners(a.AllowedSigners.ValueString())
	if err != nil {
		return nil, problemAt("approval.allowed_signers", "Invalid allowed_signers", err.Error()+".",
			"Each line is: principals, options, public key; for example: lead@example.com namespaces=\"remediation\" "+
				"ssh-ed25519 AAAA...")
	}
	return signers, nil
}

// window converts the block to a window. If that fails, at is the invalid attribute.
func (f freezeBlock) window() (w approval.Freeze, at string, err error) {
	w = approval.Freeze{Name: f.Name.ValueString(), Recurrence: f.Recurrence.ValueString(), BreakGlass: f.BreakGlass}
	zone, err := time.LoadLocation(f.TimeZone.ValueString())
	if err == nil && zone == time.Local { // "Local" differs between machines
		err = fmt.Errorf("time zone %q depends on the machine that runs Terraform", f.TimeZone.ValueString())
	}
	if err != nil {
		return w, "time_zone", err
	}
	if w.Length, err = parseDuration(f.Duration.ValueString()); err != nil {
		return w, "duration", err
	}
	if !f.Start.IsNull() {
		if w.Start, err = time.Parse(time.RFC3339, f.Start.ValueString()); err != nil {
			return w, "start", err
		}
	}
	w, err = w.Parse(zone)
	if err != nil && (w.Length < approval.MinFreeze || w.Length > approval.MaxFreeze) {
		return w, "duration", err
	}
	return w, "recurrence", err
}

// requesters returns the names of the requester. If the runner's policy demands separation of duties and names no
// requester, the environment names the requester, and the configuration can only add a name. If the environment names
// nobody, the requester is unknown: a name in the configuration could be anybody's, because the author of the change
// wrote it.
func (r runner) requesters(configured types.String) []string {
	if r.approval == nil || !r.approval.SeparationOfDuties.ValueBool() || !r.approval.Requester.IsNull() {
		return requesters(configured.ValueString(), r.getenv)
	}
	names := requesters("", r.getenv)
	if name := configured.ValueString(); name != "" && len(names) > 0 {
		names = append(names, name)
	}
	return names
}

// requesters returns the names of the requester: the configured one, or those that the first CI system found provides.
func requesters(configured string, getenv func(string) string) []string {
	if configured != "" {
		return []string{configured}
	}
	var variables []string
	switch {
	case getenv("PULL_AUTHOR") != "":
		variables = []string{"PULL_AUTHOR"}
	case getenv("GITHUB_ACTIONS") != "":
		variables = []string{"GITHUB_ACTOR"}
	case getenv("GITLAB_CI") != "":
		variables = []string{"GITLAB_USER_EMAIL", "GITLAB_USER_LOGIN"}
	}
	var names []string
	for _, variable := range variables {
		if name := strings.TrimSpace(getenv(variable)); name != "" {
			names = append(names, name)
		}
	}
	return names
}
