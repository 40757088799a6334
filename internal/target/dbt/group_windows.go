package dbt

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// startGroup starts cmd in a new process group.
func startGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	return cmd.Start()
}

// interruptGroup kills the process: Windows has no signal that would reach dbt alone.
func interruptGroup(pid int) error { return killGroup(pid) }

// killGroup kills the process.
func killGroup(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil // it has exited
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
