package provider_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// hoard is a working directory with canaries in its provider blocks.
type hoard struct {
	*acctest.Workspace
	t           *testing.T
	credentials []credential
	environment bool
	plain, tls  *indiscreet
	project     *acctest.Project
	canaries    []canary
	printed     strings.Builder
	home        string
}

func newHoard(t *testing.T, credentials []credential, environment bool) *hoard {
	t.Helper()
	h := &hoard{t: t, credentials: credentials, environment: environment, plain: newIndiscreet(t, false),
		tls: newIndiscreet(t, true), project: acctest.NewProject(t), home: t.TempDir()}
	env := append(h.project.Environment(), "HOME="+h.home, "TMPDIR="+filepath.Join(h.home, "tmp"), "TF_LOG=TRACE",
		"NO_PROXY=127.0.0.1,localhost",
		"TF_LOG_PATH="+filepath.Join(h.home, "trace.log"))
	if err := os.Mkdir(filepath.Join(h.home, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	certificate, key := clientKey(t)
	taken := map[string]bool{}
	for i, c := range credentials {
		secret := newCanary(c.attribute)
		if c.secure {
			secret = canary{name: c.attribute, value: key, core: strings.Split(key, "\n")[1]}
		}
		switch {
		case environment && taken[c.variable]: // two settings share it
			continue
		case environment && c.variable != "":
			env, taken[c.variable] = append(env, c.variable+"="+secret.value), true
		case environment:
			for _, variable := range passedToDBT() {
				passed := newCanary(variable)
				h.canaries = append(h.canaries, passed)
				if variable == "HTTPS_PROXY" {
					passed.value = "http://proxy:" + passed.core + "@127.0.0.1:9"
				}
				env = append(env, variable+"="+passed.value)
			}
			continue
		default:
			env = append(env, fmt.Sprintf("TF_VAR_secret_%d=%s", i, secret.value))
		}
		h.canaries = append(h.canaries, secret)
	}
	if environment { // the addresses are in the configuration
		env = append(env, "REMEDIATION_HOSTS=127.0.0.1, localhost")
	}
	h.Workspace = acctest.NewWorkspace(t, env...)
	h.Write("cert.pem", certificate)
	h.Write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.tls.Certificate().Raw})))
	for i := range credentials {
		h.Write(fmt.Sprintf("c%d.json", i), splitFile)
	}
	h.project.Write("models/triage_results.sql", h.model("1"))
	return h
}

// model prints its input in several ways, and reads a number.
func (h *hoard) model(number string) string {
	variables := []string{"CANARY_PASSWORD"}
	if h.environment {
		variables = []string{"AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"}
	}
	var b strings.Builder
	for _, v := range variables {
		b.WriteString(strings.ReplaceAll("{{ log(env_var('V'), info=true) }}{{ log(env_var('V') | urlencode, "+
			"info=true) }}{{ log(tojson(env_var('V')), info=true) }}\n"+
			"{{ log(modules.re.escape('x') ~ env_var('V') ~ 'x', info=true) }}-- {{ env_var('V') }}\n", "V", v))
	}
	number = strings.ReplaceAll(number, "SECRET", "{{ env_var('"+variables[0]+"') }}")
	return "{{ config(materialized='table') }}\n" + b.String() + "select " + number + " as id, 0 as queue\n"
}

// write writes a configuration with this percentage in every resource. If ephemeral, Terraform doesn't store the
// variables.
func (h *hoard) write(percent int, ephemeral bool) {
	var b strings.Builder
	b.WriteString("terraform {\n  required_providers {\n    remediation = { source = \"applylens/remediation\" }\n  " +
		"}\n}\n")
	for i, c := range h.credentials {
		server, secret := h.plain.URL, fmt.Sprintf("var.secret_%d", i)
		if c.secure {
			server = h.tls.URL
		}
		if h.environment {
			secret = "null"
		}
		name := fmt.Sprintf("c%d", i)
		block := c.block
		if h.environment && c.attribute == "dbt.environment" {
			block = ""
		}
		if h.environment && c.attribute == "elasticsearch.es_client_authentication" {
			block = strings.Replace(block, `bearer_token = "no canary"`, `bearer_token = "no canary either"`, 1)
		}
		fill := strings.NewReplacer("SECRET", secret, "SERVER", server, "NAME", name, "PERCENT", fmt.Sprint(percent),
			"MORE", "")
		fmt.Fprintf(&b, "provider \"remediation\" {\n  alias = %q\n  %s\n}\n", name, lines(fill.Replace(block)))
		resource := lines(fill.Replace(c.resource))
		resource = strings.TrimSuffix(strings.TrimSpace(resource), "}") + "\n  provider = remediation." + name + "\n}\n"
		b.WriteString(strings.Replace(resource, "{ ", "{\n  ", 1))
		if !h.environment {
			fmt.Fprintf(&b, "variable \"secret_%d\" {\n  type      = string\n  sensitive = true\n  ephemeral = %t\n}\n",
				i, ephemeral)
		}
		fmt.Fprintf(&b, "data \"remediation_action_history\" %q {\n  provider = remediation.%s\n  dry_runs = "+
			"true\n}\noutput %q { value = data.remediation_action_history.%s }\n",
			name, name, name, name)
	}
	text := b.String()
	if !ephemeral {
		text = strings.ReplaceAll(text, "  ephemeral = false\n", "") // unknown to older ones
	}
	h.Write("main.tf", text)
}

// lines puts each argument of a block, which the tables write in one line, on a separate line.
func lines(block string) string {
	var b strings.Builder
	depth := 0
	for _, r := range block {
		switch r {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		}
		outer := 0
		if strings.HasPrefix(block, "resource") {
			outer = 1
		}
		if r == ',' && depth == outer {
			b.WriteString("\n ")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (h *hoard) keep(out string, _ ...int) string {
	h.printed.WriteString(out)
	return out
}

// live runs a plan, an apply, an apply in which every resource fails, and an apply that succeeds again.
func (h *hoard) live() {
	h.t.Helper()
	ephemeral := h.hasEphemeral()
	h.write(25, ephemeral)
	h.keep(h.Must("plan", "-no-color", "-out=first.tfplan"))
	h.keep(h.Must("show", "-json", "first.tfplan"))
	h.keep(h.Must("apply", "-no-color", "first.tfplan"))
	h.keep(h.Must("show", "-json"))

	h.write(40, ephemeral)
	h.keep(h.Must("plan", "-no-color", "-out=second.tfplan"))
	h.plain.blurts.Store(true)
	h.tls.blurts.Store(true)
	h.project.Write("models/triage_results.sql", h.model("cast('SECRET' as integer)"))
	failed := h.keep(h.MustFail("apply", "-no-color", "second.tfplan"))
	h.keep(h.MustFail("plan", "-no-color", "-refresh=false"))
	h.keep(h.MustFail("plan", "-no-color", "-json", "-refresh=false"))
	for i, c := range h.credentials {
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.resource, `resource "`), `"`)
		if !strings.Contains(failed, fmt.Sprintf("with %s.c%d,", kind, i)) {
			h.t.Errorf("%s: nothing failed:\n%s", c.attribute, failed)
		}
	}
	if !strings.Contains(failed, "(redacted)") {
		h.t.Errorf("nothing was masked, so nothing was repeated:\n%s", failed)
	}
	if h.environment {
		h.spoilProfile()
	}

	h.plain.blurts.Store(false)
	h.tls.blurts.Store(false)
	h.project.Write("models/triage_results.sql", h.model("1"))
	h.write(50, ephemeral)
	h.keep(h.Must("apply", "-no-color", "-auto-approve"))
	h.keep(h.Must("show", "-json"))
	h.keep(h.Must("output", "-json"))
	for _, c := range h.canaries {
		if c.name != "dbt.environment" && c.name != "elasticsearch.key_data" &&
			!slices.Contains(passedToDBT(), c.name) &&
			!h.plain.saw(c.core) {
			h.t.Errorf("%s was never sent", c.name)
		}
	}
}

// spoilProfile makes dbt name a secret of its environment in an error of the connection.
func (h *hoard) spoilProfile() {
	h.t.Helper()
	profile := "inbox:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: '%s'}\n"
	h.project.Write("profiles.yml", fmt.Sprintf(profile, "/nowhere/{{ env_var(\"DBT_ENV_SECRET_CANARY\") }}.duckdb"))
	h.keep(h.MustFail("apply", "-no-color", "-auto-approve"))
	h.project.Write("profiles.yml", fmt.Sprintf(profile, h.project.Warehouse))
}

// hasEphemeral reports whether variables can be kept out of plans: Terraform from 1.10 on, OpenTofu from 1.11 on.
func (h *hoard) hasEphemeral() bool {
	h.t.Helper()
	m := regexp.MustCompile(`^(Terraform|OpenTofu) v1\.(\d+)\.`).FindStringSubmatch(h.Must("version"))
	if m == nil {
		h.t.Fatal("which version is this?")
	}
	var minor int
	_, _ = fmt.Sscan(m[2], &minor)
	return minor > 10 || (minor == 10 && m[1] == "Terraform")
}

// search looks for the canaries in everything that was printed, and in every file of the run.
func (h *hoard) search() {
	h.t.Helper()
	s := &searcher{t: h.t, canaries: h.canaries}
	if !h.hasEphemeral() && !h.environment {
		s.spared = func(name string) bool {
			return strings.HasSuffix(name, ".tfplan!tfplan") || strings.HasSuffix(name, ".tfplan")
		}
	}
	printed := h.printed.String()
	if s.spared != nil {
		printed = regexp.MustCompile(`"variables":\{.*?\}\}`).ReplaceAllString(printed, "")
	}
	s.text("what was printed", printed)
	s.below(h.Dir)
	s.below(h.home)
	trace, err := os.ReadFile(filepath.Join(h.home, "trace.log"))
	if err != nil || !strings.Contains(string(trace), "[TRACE]") || !strings.Contains(string(trace), "tf_req_id") {
		h.t.Errorf("there is no trace of core and provider: %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.Dir, ".remediation", "journal.db")); err != nil {
		h.t.Error(err)
	}
	h.t.Logf("%d canaries looked for in %d texts of %d bytes", len(h.canaries), s.files, s.bytes)
}
