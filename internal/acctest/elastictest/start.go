package elastictest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	// startTimeout is how long a server may take to start. It takes 13 s on two idle cores, and a minute on a machine
	// that builds at the same time.
	startTimeout = 5 * time.Minute
	// stopTimeout is how long a server may take to stop before it is killed.
	stopTimeout = 30 * time.Second
	// poll is the interval for polling a starting server.
	poll = 200 * time.Millisecond
	// heap is enough for 200,000 small documents and the indices of all packages. Two servers fit on a small machine.
	heap = "-Xms512m -Xmx768m"
	// superuser is the user of the file realm in Secure.
	superuser = "test_admin"
)

var errNotSetUp = errors.New("no Elasticsearch is unpacked in .build/elasticsearch: run make setup, or make " +
	"test-elasticsearch-9 for the newer one")

// releaseVariable selects another release than the default: "9" is the one in .build/elasticsearch-9.
const releaseVariable = "REMEDIATION_TEST_ELASTICSEARCH"

// distribution searches for .build/elasticsearch from the working directory of the tests upwards to the project's root.
func distribution() (string, error) {
	name := "elasticsearch"
	if release := os.Getenv(releaseVariable); release != "" {
		name += "-" + release
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		home := filepath.Join(dir, ".build", name)
		if _, err := os.Stat(filepath.Join(home, ".stamp")); err == nil {
			return home, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errNotSetUp
		}
	}
}

// alone are the settings of a cluster with one node.
func alone() []string {
	return []string{"cluster.name: remediation-test", "discovery.type: single-node", "transport.port: 0"}
}

// start starts a node with the settings of its cluster.
func start(secure bool, cluster []string) (*Server, error) {
	dist, err := distribution()
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "elastictest-")
	if err != nil {
		return nil, err
	}
	if dist, err = reachable(dist, scratch); err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	s := &Server{Home: filepath.Join(scratch, "config")}
	if err := s.configure(dist, scratch, secure, cluster); err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	java, err := javaFor(dist)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	s.launch = func() (*process, error) { return launchAndAwait(java, dist, scratch) }
	if s.process, err = s.launch(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	s.stop = func() {
		s.process.stop()
		_ = os.RemoveAll(scratch)
	}
	s.Config.Endpoints = []string{"http://" + s.process.address}
	return s, nil
}

// javaFor returns the Java next to the distribution, or otherwise the machine's.
func javaFor(dist string) (string, error) {
	own := filepath.Join(dist, "jdk", "bin", "java")
	if exists(own) {
		return own, nil
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("find a Java for Elasticsearch: %w", err)
	}
	return java, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// launchAndAwait starts a server and waits until it listens.
func launchAndAwait(java, dist, scratch string) (*process, error) {
	ports := filepath.Join(scratch, "logs", "http.ports")
	if err := os.RemoveAll(ports); err != nil { // of the previous start
		return nil, err
	}
	p, err := launch(java, dist, scratch)
	if err != nil {
		return nil, err
	}
	if p.address, err = p.await(ports); err != nil {
		output, _ := os.ReadFile(filepath.Join(scratch, "output"))
		p.stop()
		return nil, fmt.Errorf("start Elasticsearch: %w\n%s", err, output)
	}
	return p, nil
}

// configure fills the folder with a configuration, and makes the server's user its owner.
func (s *Server) configure(dist, scratch string, secure bool, cluster []string) error {
	if err := os.CopyFS(s.Home, os.DirFS(filepath.Join(dist, "config"))); err != nil {
		return err
	}
	settings := append(slices.Clone(cluster), "network.host: 127.0.0.1", "http.port: 0",
		// Once the server is up, it writes its port to logs/http.ports.
		"node.portsfile: true",
		"path.data: "+filepath.Join(scratch, "data"), "path.logs: "+filepath.Join(scratch, "logs"),
		// Otherwise, a nearly full disk of the machine would block every index.
		"cluster.routing.allocation.disk.threshold_enabled: false",
		fmt.Sprintf("xpack.security.enabled: %t", secure))
	files := map[string]string{
		"log4j2.properties": "status = error\nappender.console.type = Console\nappender.console.name = console\n" +
			"appender.console.layout.type = PatternLayout\nappender.console.layout.pattern = %d{ISO8601} %p %c{1.} " +
			"%m%n\n" +
			"rootLogger.level = warn\nrootLogger.appenderRef.console.ref = console\n",
	}
	if secure {
		settings = append(settings, "xpack.security.http.ssl.enabled: false",
			"xpack.security.transport.ssl.enabled: false",
			"xpack.security.authc.api_key.enabled: true")
		s.Config = elastic.Config{Username: superuser, Password: rand.Text()}
		hash, err := bcrypt.GenerateFromPassword([]byte(s.Config.Password), bcrypt.MinCost)
		if err != nil {
			return err
		}
		files["users"] = superuser + ":" + string(hash) + "\n"
		files["users_roles"] = "superuser:" + superuser + "\n"
	}
	files["elasticsearch.yml"] = strings.Join(settings, "\n") + "\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.Home, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, dir := range []string{"data", "logs", "tmp", "config/analysis"} {
		if err := os.MkdirAll(filepath.Join(scratch, dir), 0o700); err != nil {
			return err
		}
	}
	return giveAway(scratch)
}

// await waits until the server has written its address or has ended.
func (p *process) await(portsFile string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("it was not up after %s", startTimeout)
		case <-p.gone:
			return "", errors.New("it stopped by itself")
		case <-tick.C:
		}
		text, err := os.ReadFile(portsFile)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if address := strings.TrimSpace(line); strings.HasPrefix(address, "127.0.0.1:") {
				return address, nil
			}
		}
	}
}
