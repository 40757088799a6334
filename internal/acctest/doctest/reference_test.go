package doctest_test

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`^#+\s+(.*)$`)
	anchor  = regexp.MustCompile(`<a id="([^"]+)">`)
	code    = regexp.MustCompile("`[^`]*`")
)

// TestLinks follows every link to another page of the documentation, and to a heading in it.
func TestLinks(t *testing.T) {
	t.Parallel()
	root := acctest.Root(t)
	count := 0
	for _, p := range pages(t) {
		prose, _ := p.split()
		for i, line := range prose {
			for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
				to, err := url.Parse(m[1])
				if err != nil {
					t.Errorf("%s:%d: %v", p.name, i+1, err)
					continue
				}
				if to.IsAbs() {
					continue
				}
				count++
				name := p.name
				if to.Path != "" {
					name = filepath.Join(filepath.Dir(p.name), to.Path)
				}
				text, err := os.ReadFile(filepath.Join(root, name))
				if err != nil {
					if info, err := os.Stat(filepath.Join(root, name)); err != nil || !info.IsDir() ||
						to.Fragment != "" {
						t.Errorf("%s:%d: %s: there is no %s", p.name, i+1, m[1], name)
					}
					continue
				}
				if to.Fragment != "" && !headings(page{name, string(text)})[to.Fragment] {
					t.Errorf("%s:%d: %s: there is no such heading", p.name, i+1, m[1])
				}
			}
		}
	}
	if count == 0 {
		t.Fatal("no link was found")
	}
}

// headings returns the fragments that lead to a place in a page, as GitHub and the Terraform registry make them.
func headings(p page) map[string]bool {
	found := map[string]bool{}
	prose, _ := p.split()
	for _, line := range prose {
		if m := heading.FindStringSubmatch(line); m != nil {
			slug := strings.ToLower(strings.TrimSpace(m[1]))
			slug = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(slug, "")
			found[strings.ReplaceAll(slug, " ", "-")] = true
		}
		for _, m := range anchor.FindAllStringSubmatch(line, -1) {
			found[m[1]] = true
		}
	}
	return found
}

// path is a path of the project within backticks.
var path = regexp.MustCompile("`((?:internal|docs|templates|examples|tools)/[^`\\s]*)`")

// TestFilesExist looks for every file and folder of the project that the documentation names.
func TestFilesExist(t *testing.T) {
	t.Parallel()
	root := acctest.Root(t)
	for _, p := range pages(t) {
		prose, _ := p.split()
		for i, line := range prose {
			for _, m := range path.FindAllStringSubmatch(line, -1) {
				name := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(m[1], "*")
				if found, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(found) == 0 {
					t.Errorf("%s:%d: there is no %s", p.name, i+1, m[1])
				}
			}
		}
	}
}

// named is a test, fuzz test or benchmark within backticks, with its subtests.
var named = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)((?:/[^`/]+)*)`")

// TestNamedTestsExist looks for every test that the documentation names, and for the names of its subtests.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	tests := sources(t)
	count := 0
	for _, p := range pages(t) {
		for i, line := range strings.Split(p.text, "\n") {
			for _, m := range named.FindAllStringSubmatch(line, -1) {
				count++
				if !strings.Contains(tests, "func "+m[1]+"(") {
					t.Errorf("%s:%d: there is no test %s", p.name, i+1, m[1])
					continue
				}
				for _, sub := range strings.Split(strings.Trim(m[2], "/"), "/") {
					words := strings.ReplaceAll(strings.TrimSuffix(sub, "..."), "_", " ")
					if !strings.Contains(tests, words) {
						t.Errorf("%s:%d: %s has no subtest %q", p.name, i+1, m[1], sub)
					}
				}
			}
		}
	}
	if count == 0 {
		t.Fatal("no test is named")
	}
}

// TestEveryAttackNamesItsTest checks that each row of the threat model's tables names the test that tries the attack.
func TestEveryAttackNamesItsTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(acctest.Root(t), "docs", "guides", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for i, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || cells[0] == "attack" {
			continue
		}
		rows++
		if last := cells[len(cells)-1]; len(cells) != 3 || !strings.Contains(last, "`") {
			t.Errorf("line %d names no test: %s", i+1, line)
		}
	}
	const fewest = 100
	if rows < fewest {
		t.Errorf("only %d attacks were found", rows)
	}
}

// TestErrorsExist looks for every error that the troubleshooting guide explains in the texts of the code.
func TestErrorsExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(acctest.Root(t), "templates", "guides", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	texts := regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(sources(t), "")
	count := 0
	for i, line := range strings.Split(string(text), "\n") {
		error, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if !ok || !strings.HasPrefix(line, "| `") || strings.Contains(error, "(Terraform)") {
			continue
		}
		for _, quoted := range code.FindAllString(error, -1) {
			count++
			for _, part := range strings.Split(strings.Trim(quoted, "`"), "...") {
				if !strings.Contains(texts, strings.TrimSpace(part)) {
					t.Errorf("troubleshooting.md:%d: no error says %q", i+1, part)
				}
			}
		}
	}
	if count == 0 {
		t.Fatal("no error is explained")
	}
}

// sources returns the text of all Go files, tests included.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(acctest.Root(t), "internal"), func(name string, _ fs.DirEntry, err error,
	) error {
		if err != nil || !strings.HasSuffix(name, ".go") {
			return err
		}
		text, err := os.ReadFile(name)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
