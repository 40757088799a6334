package proc

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                         nil,
		" \t\n":                    nil,
		"-no-color ci.tfplan":      {"-no-color", "ci.tfplan"},
		`"my plan.tfplan"`:         {"my plan.tfplan"},
		`-no-color 'my "plan"' -x`: {"-no-color", `my "plan"`, "-x"},
		`my\ plan`:                 {"my plan"},
		`"a\"b" 'a\b'`:             {`a"b`, `a\b`},
		`-var='x=1 2' a"b"'c'`:     {"-var=x=1 2", "abc"},
		`"" a ''`:                  {"", "a", ""},
		`a; rm b`:                  {"a"},
		`a "b`:                     nil,
		`a 'b`:                     nil,
		`a \`:                      nil,
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// FuzzWords quotes arguments, and splits them again.
func FuzzWords(f *testing.F) {
	for _, seed := range []string{"a\nb", "my plan\n-var=x\n", "'\n\"\n\\", ";\n$(x)\n`"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_ = words(text) // any text is fine
		want := strings.Split(strings.ToValidUTF8(text, "?"), "\n")
		var single, double []string
		for _, word := range want {
			single = append(single, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
			double = append(double, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word)+`"`)
		}
		for _, quoted := range [][]string{single, double} {
			if got := words(strings.Join(quoted, " \t")); !slices.Equal(got, want) {
				t.Errorf("%q became %q", want, got)
			}
		}
	})
}
