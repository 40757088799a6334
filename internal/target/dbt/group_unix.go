//go:build unix

package dbt

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// startGroup starts cmd as the leader of a new session and process group. Signals to our group, a closed terminal, or
// our death then don't reach it, and no program below it can ask for a password on our terminal.
func startGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if signal.Ignored(os.Interrupt) {
		// An ignored signal stays ignored in the child, which could then not be interrupted; a caught one does not.
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, os.Interrupt)
		defer signal.Stop(caught)
	}
	return cmd.Start()
}

// interruptGroup asks all processes of the group to stop. dbt then cancels its queries and writes its results.
func interruptGroup(pid int) error { return signalGroup(pid, syscall.SIGINT) }

// killGroup kills all processes of the group.
func killGroup(pid int) error { return signalGroup(pid, syscall.SIGKILL) }

func signalGroup(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
