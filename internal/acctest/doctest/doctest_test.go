// Package doctest_test checks the documentation against the project: every configuration in it is validated by a real
// Terraform with the built provider, every link leads to a file and a heading, and every folder and test that it names
// exists.
package doctest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// page is one Markdown file of the documentation.
type page struct {
	// name is its path below the project's folder.
	name, text string
}

// block is one fenced code block.
type block struct {
	page, language, text string
	// line is the line of its fence in the page, from 1.
	line int
}

// pages returns the documentation as readers get it: the files at the top, and docs/, which is generated from
// templates/.
func pages(t *testing.T) []page {
	t.Helper()
	root := acctest.Root(t)
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	var all []page
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page{relative, string(text)})
	}
	const fewest = 20
	if len(all) < fewest {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

var fence = regexp.MustCompile("^(\\s*)```\\s*(\\w*)\\s*$")

// split returns a page's lines, with those in code blocks emptied, and its code blocks.
func (p page) split() (prose []string, blocks []block) {
	var inside *block
	indent := "" // of a block in a list
	for i, line := range strings.Split(p.text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && inside == nil:
			inside, indent = &block{page: p.name, language: m[2], line: i + 1}, m[1]
			line = ""
		case m != nil:
			blocks = append(blocks, *inside)
			inside, line = nil, ""
		case inside != nil:
			inside.text += strings.TrimPrefix(line, indent) + "\n"
			line = ""
		}
		prose = append(prose, line)
	}
	return prose, blocks
}

// blocks returns the code blocks of all pages in one of the given languages. Examples of resources and data sources are
// planned by package provider's tests, so their pages are left out.
func blocks(t *testing.T, languages ...string) []block {
	t.Helper()
	var found []block
	for _, p := range pages(t) {
		if strings.HasPrefix(p.name, "docs/resources/") || strings.HasPrefix(p.name, "docs/data-sources/") {
			continue
		}
		_, all := p.split()
		for _, b := range all {
			for _, l := range languages {
				if b.language == l {
					found = append(found, b)
				}
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no block of %v was found", languages)
	}
	return found
}
