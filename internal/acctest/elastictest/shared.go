package elastictest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// SharedVariable names the file in which the test binaries of one run find their shared server. The command serve
// writes it. If the variable is not set, each test binary starts its own server.
const SharedVariable = "REMEDIATION_TEST_ELASTICSEARCH_SHARED"

// shared is the content of the file.
type shared struct {
	Endpoint string `json:"endpoint"`
	Home     string `json:"home"`
	// Error is why there is no server.
	Error string `json:"error,omitempty"`
}

// Serve starts a server, writes its address to file, and stops it when wait returns.
func Serve(file string, wait func()) error {
	s, err := start(false, alone())
	if err != nil {
		return errors.Join(err, announce(file, shared{Error: err.Error()}))
	}
	defer s.stop()
	if err := announce(file, shared{Endpoint: s.URL(), Home: s.Home}); err != nil {
		return err
	}
	wait()
	return nil
}

// announce writes the file atomically.
func announce(file string, s shared) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	const private = 0o600
	draft := filepath.Join(filepath.Dir(file), filepath.Base(file)+".new")
	if err := os.WriteFile(draft, text, private); err != nil {
		return err
	}
	return os.Rename(draft, file)
}

// join waits for the run's server and connects to it.
func join(file string) (*Server, error) {
	for begun := time.Now(); time.Since(begun) < startTimeout; time.Sleep(poll) {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var found shared
		if err := json.Unmarshal(text, &found); err != nil {
			return nil, err
		}
		if found.Error != "" {
			return nil, errors.New(found.Error)
		}
		s := &Server{Home: found.Home, stop: func() {}}
		s.Config.Endpoints = []string{found.Endpoint}
		return s, nil
	}
	return nil, fmt.Errorf("the server of this run was not up after %s", startTimeout)
}
