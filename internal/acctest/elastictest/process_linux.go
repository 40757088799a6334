package elastictest

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// nobody is the unprivileged user and group for a server if the tests run as root, because Elasticsearch refuses root.
const nobody = 65534

// reachable returns dist, or a copy of it in scratch if the server's user may not enter one of its parent folders, such
// as root's home.
func reachable(dist, scratch string) (string, error) {
	const othersEnter = 0o001
	for dir := dist; os.Getuid() == 0 && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return "", err
		}
		if info.Mode().Perm()&othersEnter == 0 {
			copied := filepath.Join(scratch, "distribution")
			return copied, os.CopyFS(copied, os.DirFS(dist))
		}
	}
	return dist, nil
}

// process is a running server.
type process struct {
	cmd *exec.Cmd
	// gone is closed when the process has ended.
	gone chan struct{}
	// address is the server's address.
	address string
}

// launch starts the server's launcher, which starts the server and stops it when the launcher ends.
func launch(java, dist, scratch string) (*process, error) {
	output, err := os.Create(filepath.Join(scratch, "output"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }() // the server has its own descriptor
	configuration := filepath.Join(scratch, "config")
	args := []string{
		"-Dcli.name=server", "-Dcli.script=bin/elasticsearch",
		"-Dcli.libs=lib/tools/server-cli,lib/tools/ansi-console", "-Des.path.home=" + dist,
		"-Des.path.conf=" + configuration, "-Des.distribution.type=tar", "-cp", "lib/*:lib/cli-launcher/*",
		"org.elasticsearch.launcher.CliToolLauncher",
	}
	if newer := "lib/tools/server-launcher/*"; exists(filepath.Join(dist, filepath.Dir(newer))) { // as of 9.4
		args = []string{"-cp", newer, "org.elasticsearch.server.launcher.ServerLauncher"}
	}
	cmd := exec.CommandContext(context.Background(), java, append([]string{"-Xmx64m"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dist, output, output
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "ES_JAVA_OPTS=" + heap, "ES_TMPDIR=" + filepath.Join(scratch, "tmp"), "JAVA=" +
			java, "ES_HOME=" + dist,
		"ES_PATH_CONF=" + configuration, "ES_DISTRIBUTION_TYPE=tar",
	}
	// If the test binary is killed, its server ends too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: false}
	}
	p := &process{cmd: cmd, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is tied to the thread that started the process, so that thread must live as long as the
		// process.
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
	case <-time.After(stopTimeout):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.gone
	}
}

// kill ends the server at once, like a machine failure.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.gone
}

// giveAway makes the server's user the owner of the folder and its contents.
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
