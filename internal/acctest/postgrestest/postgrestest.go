// Package postgrestest runs a real PostgreSQL.
package postgrestest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/spawn"
)

// Server is a running PostgreSQL. Any password is accepted.
type Server struct {
	// Host and Port are its address, User its superuser, and Database a database.
	Host, Port, User, Database string
	t                          testing.TB
}

// Start starts a PostgreSQL that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	// The server's user must be able to enter all parent folders.
	root, err := os.MkdirTemp("", "pg") //nolint:usetesting // as above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	const enter = 0o711
	if err := os.Chmod(root, enter); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(spawn.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Host: host, Port: port, User: "dbt", Database: "postgres", t: t}
	data := filepath.Join(root, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(data, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	initialize := unprivileged(program(t, "initdb"), "-D", data, "-U", s.User, "-A", "trust", "-E", "UTF8", "--no-sync",
		"--no-instructions", "--locale=C")
	if out, err := exec.CommandContext(t.Context(), initialize[0], initialize[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := unprivileged(program(t, "postgres"), "-D", data, "-h", host, "-p", port, "-k", "", "-c", "fsync=off")
	spawn.Start(t, func() bool { _, err := s.query("select 1"); return err == nil }, server[0], server[1:]...)
	return s
}

// nobody is the user and group of the server if the tests run as root, because PostgreSQL refuses root.
const nobody = 65534

// unprivileged returns a command that does not run as root.
func unprivileged(command ...string) []string {
	if os.Getuid() != 0 {
		return command
	}
	id := fmt.Sprint(nobody)
	return append([]string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups"}, command...)
}

// program finds a program of PostgreSQL: on the PATH, or where Debian installs the newest version.
func program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil && name != "psql" {
		return path
	}
	found, err := filepath.Glob(filepath.Join("/usr/lib/postgresql/*/bin", name))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s is missing: run make setup, or put PostgreSQL on the PATH", name)
	}
	slices.Sort(found)
	return found[len(found)-1]
}

// Query runs SQL as the superuser and returns its rows, one per line, with columns separated by "|".
func (s *Server) Query(sql string) string {
	s.t.Helper()
	out, err := s.query(sql)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", sql, err, out)
	}
	return out
}

func (s *Server) query(sql string) (string, error) {
	cmd := exec.CommandContext(s.t.Context(), program(s.t, "psql"), "-h", s.Host, "-p", s.Port, "-U", s.User, "-d",
		s.Database, "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Profile is a profiles.yml with the target dev in the schema.
func (s *Server) Profile(profile, schema string) string {
	return fmt.Sprintf("%s:\n  target: dev\n  outputs:\n    dev: {type: postgres, host: %s, port: %s, user: %s, "+
		"password: x, dbname: %s, schema: %s, threads: 2}\n", profile, s.Host, s.Port, s.User, s.Database, schema)
}
