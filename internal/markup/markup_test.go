package markup

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

// hostile are texts that would act as markup if they were written unchanged.
var hostile = []string{
	"`code`", "``", "` `` ```", "a | b | c", `a \| b`, `\`, "```\nnext\n```", "~~~\nx\n~~~", "<script>alert(1)</script>",
	"</details><img src=x onerror=alert(1)>", "<!-- comment", "@octocat and @org/team", "#123 !45 %6 ~bug $9",
	"[link](https://evil.example)", "![image](https://evil.example/x.png)", "https://evil.example www.evil.example",
	"boss@example.com", "**bold** _em_ ~~gone~~", "# heading", "- [ ] task", "&lt;b&gt; &#64;x", ":rocket:",
	"line\nbreak\r\nand\ttab", "abc\u202edcb\u2066x\u2069", "zero\u200bwidth\u200d\ufeff", "bad\xff\xfeutf8", "\x1b[31mred\x1b[0m", "", " ",
	"| a |\n|---|\n| b |", "==x== $$y$$ {{z}}", "\u2028sep\u2029",
}

func render(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestCodeIsInert renders hostile texts in a table, as Gitea's renderer does: each is one cell with one code span.
func TestCodeIsInert(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		out := render(t, "| a | b |\n|---|---|\n| "+Code(s)+" | end |\n")
		if strings.Count(out, "<td>") != 2 || strings.Count(out, "<tr>") != 2 ||
			!strings.Contains(out, "<td>end</td>") {
			t.Errorf("%q breaks the table:\n%s", s, out)
		}
		if Line(s) == "" {
			continue
		}
		_, rest, _ := strings.Cut(out, "<td><code>")
		inside, _, found := strings.Cut(rest, "</code></td>")
		if !found || strings.Contains(inside, "<") {
			t.Errorf("%q is more than text:\n%s", s, out)
		}
	}
}

// TestBlockIsInert renders hostile texts in fences: each is one block of code, whatever it contains.
func TestBlockIsInert(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		out := render(t, "<details><summary>x</summary>\n"+Block(s)+"\n</details>\n\nafter\n")
		_, rest, _ := strings.Cut(out, `<pre><code class="language-text">`)
		inside, rest, found := strings.Cut(rest, "</code></pre>")
		if !found || strings.Contains(inside, "<") || !strings.Contains(rest, "<p>after</p>") {
			t.Errorf("%q leaves its block:\n%s", s, out)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain ä 日本 ✓": "plain ä 日本 ✓", "a\u202eb": "a<U+202E>b", "x\x1b[0m": "x<U+001B>[0m", "\xff": "<0xFF>",
		"\ufffd": "\ufffd", "a\nb\tc": "a\nb\tc", "a\u200bb": "a<U+200B>b", "\u3164": "<U+3164>", "\u2028": "<U+2028>",
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q became %q instead of %q", in, got, want)
		}
	}
}

func FuzzCode(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := render(t, "| a | b |\n|---|---|\n| "+Code(s)+" | end |\n")
		if strings.Count(out, "<td>") != 2 || !strings.Contains(out, "<td>end</td>") || strings.Contains(out, "<a ") {
			t.Errorf("%q breaks the table:\n%s", s, out)
		}
		if !utf8.ValidString(Visible(s)) {
			t.Errorf("%q stays invalid", s)
		}
	})
}

func TestPlainHasNoFence(t *testing.T) {
	t.Parallel()
	if got := Plain("a\n````diff\nb"); strings.Contains(got, "```") {
		t.Errorf("a fence is left: %q", got)
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		if strings.ContainsAny(HTML(s), `<>"'`) {
			t.Errorf("%q is more than text: %q", s, HTML(s))
		}
	}
}
