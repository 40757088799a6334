package playbook_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

// inputs have a default, a list whose order has no meaning, and an input that has no effect next to another one.
type inputs struct {
	Names   []string       `json:"names,omitempty"`
	Gradual bool           `json:"gradual"`
	Steps   int            `json:"steps"`
	Vars    map[string]any `json:"vars,omitempty"`
}

func definition() playbook.Definition[inputs] {
	return playbook.Definition[inputs]{
		Page: playbook.Metadata{ActionType: "test"}, Defaults: inputs{Gradual: true, Steps: 5},
		Validate: func(in inputs) (inputs, error) {
			if in.Steps < 1 {
				return in, playbook.Invalid("Must be at least 1.", "steps is too small.", "steps")
			}
			if !in.Gradual {
				in.Steps = 5
			}
			in.Names = slices.Sorted(slices.Values(in.Names))
			return in, nil
		},
	}
}

func TestNormalizeLeavesOutInputsWithoutEffect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"at the default":          {`{"names": ["a"], "gradual": true, "steps": 5}`, `{"names":["a"]}`},
		"null":                    {`{"names": ["a"], "gradual": null, "steps": null}`, `{"names":["a"]}`},
		"empty lists and objects": {`{"names": [], "vars": {}}`, `{}`},
		"set":                     {`{"steps": 6, "names": ["a"]}`, `{"names":["a"],"steps":6}`},
		"no effect beside gradual": {`{"gradual": false, "steps": 7}`,
			`{"gradual":false}`},
		"large numbers": {`{"vars": {"id": 9007199254740993}}`, `{"vars":{"id":9007199254740993}}`},
		"nothing":       {`{}`, `{}`},
	} {
		got, err := definition().Normalize(json.RawMessage(tt.in))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, tt.want)
		}
	}
	for _, bad := range []string{`{"steps": 0}`, `{"speed": 1}`, `[]`, ``} {
		if got, err := definition().Normalize(json.RawMessage(bad)); err == nil {
			t.Errorf("%s became %s", bad, got)
		}
	}
}

func TestDefaultsStayAsDeclared(t *testing.T) {
	t.Parallel()
	d := definition()
	if _, err := d.Decode(json.RawMessage(`{"steps": 9, "gradual": false, "names": ["b"]}`)); err != nil {
		t.Fatal(err)
	}
	if in, err := d.Decode(json.RawMessage(`{}`)); err != nil || in.Steps != 5 || !in.Gradual || in.Names != nil {
		t.Errorf("decoded %+v, %v", in, err)
	}
}

type facts struct {
	Count int `json:"count"`
}

// logic dispatches with the facts that it is given.
type logic struct{ seen *facts }

func (logic) Target(context.Context) (string, error) { return "test", nil }

func (logic) Preview(context.Context) (playbook.Preview, facts, error) {
	return playbook.Preview{Summary: "Will test"}, facts{Count: 3}, nil
}

func (l logic) Dispatch(_ context.Context, _ playbook.Job, f facts) (playbook.Work, error) {
	*l.seen = f
	return nil, nil //nolint:nilnil // the test looks at the facts only
}

func (l logic) Adopt(ctx context.Context, job playbook.Job, f facts) (playbook.Work, error) {
	return l.Dispatch(ctx, job, f)
}

func TestFactsComeBackFromMemoryAndFromTheJournal(t *testing.T) {
	t.Parallel()
	seen := facts{}
	book := playbook.New(definition(), func(inputs) playbook.Logic[facts] { return logic{&seen} })
	action, err := book.Bind(json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	preview, err := action.Preview(t.Context())
	if err != nil || preview.Facts != (facts{Count: 3}) {
		t.Fatalf("preview %+v, %v", preview, err)
	}
	for _, stored := range []any{preview.Facts, map[string]any{"count": 4.0}} {
		job := playbook.Job{Preview: playbook.Preview{Facts: stored}}
		if _, err := action.Dispatch(t.Context(), job); err != nil || seen.Count < 3 {
			t.Errorf("dispatched with %+v, %v", seen, err)
		}
	}
	if seen.Count != 4 {
		t.Errorf("the journal's facts arrived as %+v", seen)
	}
	job := playbook.Job{Preview: playbook.Preview{Facts: map[string]any{"count": "many"}}}
	if _, err := action.Adopt(t.Context(), job); err == nil {
		t.Error("facts of another type were accepted")
	}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	type inputs struct {
		Steps   int    `json:"steps"`
		Over    string `json:"over"`
		Gradual bool   `json:"gradual"`
		Limit   *int   `json:"limit"`
	}
	d := playbook.Definition[inputs]{Defaults: inputs{Steps: 5, Over: "10m"}}
	for input, want := range map[string]string{
		"steps": "Default: `5`.", "over": "Default: `10m`.", "gradual": "Default: `false`.", "limit": "", "none": "",
	} {
		if got := d.Default(input); got != want {
			t.Errorf("%s: %q, want %q", input, got, want)
		}
	}
}
