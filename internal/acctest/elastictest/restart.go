package elastictest

import (
	"os"
	"path/filepath"
	"strings"
)

// Down stops a server of the test's own, or kills it as a machine that fails does. Up starts it again.
func (s *Server) Down(kill bool) {
	if kill {
		s.process.kill()
		return
	}
	s.process.stop()
}

// Up starts a server that is down again, at the same address and with its data.
func (s *Server) Up() error {
	// The port that the system gave it is its own from now on.
	path := filepath.Join(s.Home, "elasticsearch.yml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, port, _ := strings.Cut(s.process.address, ":")
	const private = 0o600
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "http.port: 0\n", "http.port: "+port+"\n", 1)),
		private); err != nil {
		return err
	}
	again, err := s.launch()
	if err != nil {
		return err
	}
	s.process = again
	return nil
}
