// Command provider is the released provider with a trigger for crashes: depending on its environment, it kills itself,
// the Terraform that started it, or both, or makes the disk appear full. Only the chaos suite builds it.
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

// Environment variables that configure the kill.
const (
	// envDir is a folder. Each start writes its identity to a file in it that is named by the process id.
	envDir = "CHAOS_DIR"
	// envPoint is the engine's point at which to kill, when it is reached for the envNth time, and envAfter is the
	// delay.
	envPoint = "CHAOS_POINT"
	envNth   = "CHAOS_NTH"
	envAfter = "CHAOS_AFTER"
	// envVictim is what to kill: provider, terraform or both. With disk, the disk is full from then on.
	envVictim = "CHAOS_VICTIM"
)

// start is a point before all of the engine's points.
const start engine.Point = "start"

const private = 0o600

func main() {
	w := order{dir: os.Getenv(envDir), point: engine.Point(os.Getenv(envPoint)), victim: os.Getenv(envVictim), nth: 1}
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

// order is when and what to kill.
type order struct {
	dir    string
	point  engine.Point
	nth    int
	after  time.Duration
	victim string

	mu    sync.Mutex
	times int
}

// reached is the engine's hook.
func (w *order) reached(p engine.Point) {
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

// die leaves a marker file and kills. If the provider is a victim, die does not return.
func (w *order) die() {
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
		select {} // until the signal arrives
	}
}

// fill makes every write to a file fail, like a full disk. Sockets still work.
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
