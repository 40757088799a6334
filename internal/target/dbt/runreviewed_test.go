package dbt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnotherScriptIsNotReviewed replaces the script that starts dbt, after the review.
func TestAnotherScriptIsNotReviewed(t *testing.T) {
	t.Parallel()
	cfg := shop(t)
	cfg.Executable = filepath.Join(t.TempDir(), "dbt")
	write(t, cfg.Executable, "#!/bin/sh\nexec dbt \"$@\"\n")
	if err := os.Chmod(cfg.Executable, 0o700); err != nil {
		t.Fatal(err)
	}
	c := cli(t, cfg)
	p, err := c.project()
	if err != nil {
		t.Fatal(err)
	}
	content, _, err := c.fileContent(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.compareFiles(t.Context(), p, Reviewed{Content: content}); err != nil {
		t.Errorf("the same script: %v", err)
	}
	rewrite(t, cfg.Executable, "exec dbt", "true; exec dbt")
	err = c.compareFiles(t.Context(), p, Reviewed{Content: content})
	if !errors.Is(err, ErrNotReviewed) || !strings.Contains(err.Error(), "the script that starts dbt") {
		t.Errorf("got %v", err)
	}
}
