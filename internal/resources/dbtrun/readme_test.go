package dbtrun_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest"
)

// TestReadmeQuotesThePlan checks that README.md quotes the golden plan. With UPDATE_GOLDEN it rewrites the quote; run
// it again after the golden plan changed.
func TestReadmeQuotesThePlan(t *testing.T) {
	t.Parallel()
	plan, err := os.ReadFile(filepath.Join("testdata", "unapproved_full_refresh.txt"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)\+ dry_run +=[^\n]*<<-EOT\n(.*?)\n +EOT\n`).FindSubmatch(plan)
	if m == nil {
		t.Fatalf("the plan shows no dry run:\n%s", plan)
	}
	var quote strings.Builder
	for _, line := range strings.Split(string(m[1]), "\n") {
		quote.WriteString(strings.TrimRight(strings.TrimPrefix(line, "    "), " ") + "\n")
	}
	name := filepath.Join(acctest.Root(t), "README.md")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "  + dry_run = <<-EOT\n", "    EOT\n```"
	before, rest, begins := strings.Cut(string(text), begin)
	shown, after, ends := strings.Cut(rest, end)
	switch {
	case !begins || !ends:
		t.Fatalf("%s quotes no dry run", name)
	case shown == quote.String():
	case os.Getenv("UPDATE_GOLDEN") != "":
		//nolint:gosec // people read it
		if err := os.WriteFile(name, []byte(before+begin+quote.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s quotes another dry run than the plan shows; UPDATE_GOLDEN=1 rewrites it. It quotes:\n%s", name,
			shown)
	}
}
