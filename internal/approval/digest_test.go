package approval_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
)

// vector is a test case of testdata/digest_vectors.json, which is part of the digest's specification.
type vector struct {
	Name      string           `json:"name"`
	Subject   approval.Binding `json:"subject"`
	Canonical string           `json:"canonical"`
	Digest    string           `json:"digest"`
	Shown     string           `json:"shown"`
	Payload   string           `json:"payload"`
}

func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "digest_vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	const least = 5
	if len(vectors) < least {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		canonical, err := v.Subject.Canonical()
		if err != nil || string(canonical) != v.Canonical {
			t.Errorf("%s: canonical %s, want %s (%v)", v.Name, canonical, v.Canonical, err)
		}
		digest, err := v.Subject.Digest()
		if err != nil || digest != v.Digest {
			t.Errorf("%s: digest %s, want %s (%v)", v.Name, digest, v.Digest, err)
		}
		if line := approval.Payload(v.Subject.Playbook, v.Subject.Target, digest, v.Shown); line != v.Payload {
			t.Errorf("%s: payload %s, want %s", v.Name, line, v.Payload)
		}
	}
}

func base() approval.Binding {
	return approval.Binding{
		Playbook: "rerun_dbt", Target: "dbt:shop/prod", Inputs: json.RawMessage(`{"models":["a","b"],"threads":4}`),
		Triggers: map[string]string{"run": "1"}, Commands: []string{"dbt run --select a b"},
		Safety: approval.Safety{Guardrails: json.RawMessage(`[{"name":"errors","max":1}]`), Timeout: "default",
			OnDestroy: "keep", Undo: json.RawMessage("null")},
		Identity: "1111", Content: "2222",
	}
}

func TestDigestBindsEverything(t *testing.T) {
	t.Parallel()
	want, err := base().Digest()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*approval.Binding){
		"playbook": func(s *approval.Binding) { s.Playbook = "refresh_dbt_dependencies" },
		"target":   func(s *approval.Binding) { s.Target = "dbt:shop/staging" },
		"an input": func(s *approval.Binding) { s.Inputs = json.RawMessage(`{"models":["a","b"],"threads":5}`) },
		"an input more": func(s *approval.Binding) {
			s.Inputs = json.RawMessage(`{"models":["a","b"],"threads":4,"full_refresh":true}`)
		},
		"order":             func(s *approval.Binding) { s.Inputs = json.RawMessage(`{"models":["b","a"],"threads":4}`) },
		"type of an input":  func(s *approval.Binding) { s.Inputs = json.RawMessage(`{"models":["a","b"],"threads":"4"}`) },
		"trigger":           func(s *approval.Binding) { s.Triggers = map[string]string{"run": "2"} },
		"no trigger":        func(s *approval.Binding) { s.Triggers = nil },
		"command":           func(s *approval.Binding) { s.Commands = []string{"dbt run --select a b --full-refresh"} },
		"splitting command": func(s *approval.Binding) { s.Commands = []string{"dbt run", "--select a b"} },
		"identity":          func(s *approval.Binding) { s.Identity = "1112" },
		"content":           func(s *approval.Binding) { s.Content = "2223" },
		"guardrails":        func(s *approval.Binding) { s.Safety.Guardrails = json.RawMessage(`[]`) },
		"timeout":           func(s *approval.Binding) { s.Safety.Timeout = "20h0m0s" },
		"on_destroy":        func(s *approval.Binding) { s.Safety.OnDestroy = "rollback" },
		"undo": func(s *approval.Binding) {
			s.Safety.Undo = json.RawMessage(`{"action_type":"rerun_dbt","params":{}}`)
		},
		"a field's place": func(s *approval.Binding) { s.Identity, s.Content = s.Content, s.Identity },
	} {
		s := base()
		change(&s)
		got, err := s.Digest()
		if err != nil || got == want {
			t.Errorf("%s is not bound (%v)", name, err)
		}
	}
	same := base()
	same.Inputs = json.RawMessage(` {"threads": 4.0, "models": ["\u0061", "b"]} `)
	if got, err := same.Digest(); err != nil || got != want {
		t.Errorf("another spelling of the same JSON gives another digest (%v)", err)
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	const digits = "52097f51eb6207ce8d4945a72e7cc527ffeeaeb09c5bc545690484fc9a6d39ed"
	for pin, want := range map[string]bool{
		"sha256:" + digits: true, digits: true, digits[:20]: true, "sha256:" + digits[:20]: true,
		digits[:19]: false, "sha256:" + digits[:19]: false, "": false, "sha256:": false, digits + "0": false,
		strings.ToUpper(digits): false, digits[:20] + "x": false, "0" + digits[1:]: false, " " + digits: false,
	} {
		if approval.Pins(pin, "sha256:"+digits) != want {
			t.Errorf("%q: pins %v, want %v", pin, !want, want)
		}
	}
}

func TestPayloadIsOneLineOfPlainFields(t *testing.T) {
	t.Parallel()
	line := approval.Payload("p", "elasticsearch:a b\n'$(x)'/é%", "sha256:00", "4f9c2a17-7")
	if want := "remediation-approval-v2 p elasticsearch:a%20b%0A%27%24%28x%29%27/%C3%A9%25 sha256:00 " +
		"shown=4f9c2a17-7"; line != want {
		t.Errorf("got %q", line)
	}
	if a, b := approval.Payload("p", "a b", "d", "1"), approval.Payload("p", "a", "b d", "1"); a == b ||
		strings.Count(a, " ") != 4 {
		t.Errorf("fields can be moved: %q, %q", a, b)
	}
}

func TestCanonicalNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Boss@Example.COM": boss, "boss@example.com..": boss, "boss+x@example.com": boss, "ｂoss@example.com": boss,
		"Octocat":        "octocat",
		"+x@example.com": "+x@example.com",
	} {
		if got, err := approval.Canonical(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "@", "@x.y", "a@.", "b\u043ess@example.com", "bo\u200bss", "a b", "<a@b>", "a@b@c",
		"bo\u0131@x"} {
		if got, err := approval.Canonical(in); err == nil {
			t.Errorf("%q: accepted as %q", in, got)
		}
	}
}
