// Package spawn starts servers for tests and stops them by their process identifier.
package spawn

import (
	"bytes"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// upWithin is how long a server may take to start.
	upWithin = 30 * time.Second
	poll     = 50 * time.Millisecond
	// downWithin is how long a server may take to end by itself.
	downWithin = 5 * time.Second
)

// Find returns the path of a program. It fails the test if the program is missing.
func Find(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("no %s to test with: run tools/setup-planner.sh", name)
	}
	return path
}

// output collects what a server prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns what was printed so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Start starts a server, waits until it is ready, and stops it at the end of the test.
func Start(t testing.TB, up func() bool, name string, args ...string) {
	t.Helper()
	var out output
	cmd := exec.Command(Find(t, name), args...) //nolint:gosec,noctx // the test's own server, stopped below
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(downWithin):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(upWithin); time.Now().Before(deadline); time.Sleep(poll) {
		if up() {
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", name, out.String())
		default:
		}
	}
	t.Fatalf("%s did not come up:\n%s", name, out.String())
}

// Address returns a free address of the loopback interface.
func Address(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // only the port is needed
	return l.Addr().String()
}
