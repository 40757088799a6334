// Command provider is the provider as it is released, with a death wish: it kills itself, or the Terraform that started
// it, where its environment says so, or finds the disk full from then on. It is built by the fault suite only.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/proc"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// The environment of a death.
const (
	// envDir is a folder. Each start leaves its identity there, in a file named by its process id.
	envDir = "CHAOS_DIR"
	// envPoint is the engine's point at which to die, at the envNth time that it is reached, and envAfter how long
	// after it.
	envPoint = "CHAOS_POINT"
	envNth   = "CHAOS_NTH"
	envAfter = "CHAOS_AFTER"
	// envVictim is who dies: provider, terraform or both; or disk, which is full from then on.
	envVictim = "CHAOS_VICTIM"
)

// start is a point before all of the engine's.
const start engine.Point = "start"

const private = 0o600

func main() {
	w := wish{dir: os.Getenv(envDir), point: engine.Point(os.Getenv(envPoint)), victim: os.Getenv(envVictim), nth: 1}
	if text := os.Getenv(envNth); text != "" {
		w.nth = must(strconv.Atoi(text))
	}
	if text := os.Getenv(envAfter); text != "" {
		w.after = must(time.ParseDuration(text))
	}
	self := must(json.Marshal(proc.Self()))
	if err := os.WriteFile(filepath.Join(w.dir, strconv.Itoa(os.Getpid())), self, private); err != nil {
		log.Fatal(err)
	}
	w.reached(start)
	if err := provider.Serve(context.Background(), provider.Options{Version: "chaos", Reached: w.reached}); err != nil {
		log.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// wish is when to die.
type wish struct {
	dir    string
	point  engine.Point
	nth    int
	after  time.Duration
	victim string

	mu    sync.Mutex
	times int
}

// reached is the engine's hook.
func (w *wish) reached(p engine.Point) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p != w.point {
		return
	}
	if w.times++; w.times != w.nth {
		return
	}
	if w.after > 0 {
		time.AfterFunc(w.after, w.die)
		return
	}
	w.die()
}

// die leaves word of it, and kills. Where the provider is a victim it does not return.
func (w *wish) die() {
	word, err := os.OpenFile(filepath.Join(w.dir, "killed"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, private)
	switch {
	case err == nil:
		err = word.Close()
	case w.point == start && os.IsExist(err):
		err = nil // Terraform starts its provider several times
	}
	if err != nil {
		log.Fatal(err)
	}
	if w.victim == "disk" {
		fill()
		return
	}
	if w.victim != "provider" {
		kill(os.Getppid())
	}
	if w.victim != "terraform" {
		kill(os.Getpid())
		select {} // until the signal has come
	}
}

// fill makes every write to a file fail, as on a full disk. Sockets go on.
func fill() {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{}); err != nil {
		log.Fatal(err)
	}
}

func kill(pid int) {
	if pid <= 1 {
		log.Fatal("the Terraform that started this provider is gone already")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		log.Fatal(err)
	}
}
