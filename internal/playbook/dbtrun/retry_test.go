package dbtrun

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/playbook"
)

func TestRetryFindsWhatIsLeft(t *testing.T) {
	t.Parallel()
	past := []playbook.Past{
		{ID: 7, Status: "failed", Params: json.RawMessage(`{"models":["a","b"],"full_refresh":true,"threads":2}`),
			Content: json.RawMessage(`{"nodes":{"model.s.a":"1","model.s.b":"2","model.s.c":"3","model.s.d":"4"}}`),
			Details: map[string]string{"model.s.a": "success in 1.0 s", "model.s.b": "error in 0.1 s",
				"model.s.c": "partial success in 2.0 s", "models": "3", "operation.s.hook": "success in 0.1 s"}},
		{ID: 6, Status: "success", Params: json.RawMessage(`{"models":["x"]}`)},
	}
	for name, test := range map[string]struct {
		inputs       string
		past         []playbook.Past
		want         []string
		whole, wrong bool
	}{
		"alone":             {`{"retry_failed":true}`, past, []string{"b", "c", "d"}, false, false},
		"the same inputs":   {`{"retry_failed":true,"models":["a","b"],"full_refresh":true}`, past, []string{"b", "c", "d"}, false, false},
		"other inputs":      {`{"retry_failed":true,"models":["a"]}`, past, nil, true, false},
		"after a success":   {`{"retry_failed":true,"models":["x"]}`, past, nil, true, false},
		"no history":        {`{"retry_failed":true,"models":["a","b"]}`, nil, nil, true, false},
		"alone, no history": {`{"retry_failed":true}`, nil, nil, false, true},
		"alone, a success":  {`{"retry_failed":true}`, past[1:], nil, false, true},
	} {
		inputs, err := Describe().Decode(json.RawMessage(test.inputs))
		if err != nil {
			t.Fatal(err)
		}
		read := func(context.Context, int) ([]playbook.Past, error) { return test.past, nil }
		ctx := playbook.WithPast(t.Context(), read)
		r, err := action{params: inputs}.retry(ctx)
		switch {
		case test.wrong != errors.Is(err, ErrNothingToRetry):
			t.Errorf("%s: %v", name, err)
		case test.wrong:
		case test.whole != (r == nil):
			t.Errorf("%s: %+v", name, r)
		case r != nil:
			s := r.selection(0, false)
			if !slices.Equal(s.Models, test.want) || !s.FullRefresh || s.Threads != 2 || r.Execution != 7 {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
	if _, err := Describe().Decode(json.RawMessage(`{"retry_failed":true,"full_refresh":true}`)); err == nil {
		t.Error("retry_failed without models takes the arguments of the last execution, and full_refresh was accepted")
	}
}
