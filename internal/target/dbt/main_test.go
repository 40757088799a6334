package dbt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// helperVariable makes the test binary a process that starts dbt and dies.
const helperVariable = "REMEDIATION_TEST_START_AND_DIE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperVariable); dir != "" {
		os.Exit(startAndDie(dir))
	}
	os.Exit(m.Run())
}

// startAndDie starts a dbt run below dir, says its id and waits to be killed.
func startAndDie(dir string) int {
	c := New(Config{
		Executable: os.Getenv("REMEDIATION_TEST_DBT"), ProjectDir: filepath.Join(dir,
			"shop"), WorkDir: filepath.Join(dir, "work"),
		Environment: map[string]string{"SHOP_DUCKDB": filepath.Join(dir, "shop.duckdb")},
	}, clock.System{})
	run, err := c.Start(context.Background(), c.RunCommand(Selection{Models: []string{"inbox_emails"}}),
		filepath.Join(dir, "run"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(run.ID())
	time.Sleep(time.Minute) // killed long before
	return 1
}

// dbtPath finds the real dbt.
func dbtPath(t testing.TB) string {
	t.Helper()
	path := os.Getenv("REMEDIATION_TEST_DBT")
	if path == "" {
		path = filepath.Join("..", "..", "..", ".build", "dbt", "bin", "dbt")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("dbt is missing (%v): run make setup, or set REMEDIATION_TEST_DBT", err)
	}
	return path
}

// shop copies the test project to a separate folder and returns a configuration for it.
func shop(t testing.TB) Config {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "shop")
	if err := copyTree(t.Context(), filepath.Join("testdata", "shop"), dir); err != nil {
		t.Fatal(err)
	}
	return Config{Executable: dbtPath(t), ProjectDir: dir, WorkDir: filepath.Join(root, "work"),
		Grace: 20 * time.Second}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// script writes an executable shell script. It is written and closed by another process: a script that this process
// still holds open for writing while a parallel test forks could not be executed.
func script(t testing.TB, path, body string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `cat > "$0" && chmod 755 "$0"`, path)
	cmd.Stdin = strings.NewReader("#!/bin/sh\n" + body)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// snapshot is every file below dir: name, mode, time and content.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		about := fmt.Sprint(info.Mode(), " ", info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			about += " " + string(data)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			about, err = os.Readlink(path)
		}
		files[path] = about
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// wantProblem checks that err is a problem for people: the sentinel, a cause, a next step, and the texts.
func wantProblem(t *testing.T, err, sentinel error, texts ...string) problem.Problem {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got error %v, want one that is %v", err, sentinel)
	}
	var p *problem.Problem
	if !errors.As(err, &p) {
		t.Fatalf("%v is not a problem", err)
	}
	if p.What == "" || p.Why == "" || p.Next == "" {
		t.Errorf("problem lacks a part: %+v", p)
	}
	for _, text := range texts {
		if !strings.Contains(p.Error(), text) {
			t.Errorf("problem does not say %q: %v", text, p)
		}
	}
	return *p
}
