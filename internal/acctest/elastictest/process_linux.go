package elastictest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// nobody is the unprivileged user and group that a server gets where the tests run as root: Elasticsearch refuses root.
const nobody = 65534

// capDACReadSearch is CAP_DAC_READ_SEARCH of linux/capability.h: that user may read the project wherever it lies, such as in root's home.
const capDACReadSearch = 2

// process is a running server.
type process struct {
	cmd *exec.Cmd
	// gone is closed when the process has ended.
	gone chan struct{}
}

// launch starts the server's launcher, which starts the server and takes it along when it ends.
func launch(java, dist, scratch string) (*process, error) {
	output, err := os.Create(filepath.Join(scratch, "output"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	// The shell goes to the folder once it has the right to read, and becomes the server.
	cmd := exec.Command("/bin/sh", "-c", `cd "$0" && exec "$@"`, dist, java, "-Xmx64m", "-Dcli.name=server", "-Dcli.script=bin/elasticsearch",
		"-Dcli.libs=lib/tools/server-cli,lib/tools/ansi-console", "-Des.path.home="+dist, "-Des.path.conf="+filepath.Join(scratch, "config"),
		"-Des.distribution.type=tar", "-cp", "lib/*:lib/cli-launcher/*", "org.elasticsearch.launcher.CliToolLauncher")
	cmd.Dir, cmd.Stdout, cmd.Stderr = scratch, output, output
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ES_JAVA_OPTS=" + heap, "ES_TMPDIR=" + filepath.Join(scratch, "tmp")}
	// A test binary that is killed takes its server along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: false}
		cmd.SysProcAttr.AmbientCaps = []uintptr{capDACReadSearch}
	}
	p := &process{cmd: cmd, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is tied to the thread that started the process, so that thread has to live as long.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.gone)
		}
	}()
	return p, <-started
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(stopPatience):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.gone
	}
}

// giveAway makes the server's user the owner of the folder and all in it.
func giveAway(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}
