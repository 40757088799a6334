package elastictest

import (
	"os"
	"path/filepath"
	"strings"
)

// Down stops a server that only this test uses, or kills it like a machine failure. Up starts it again.
func (s *Server) Down(kill bool) {
	if kill {
		s.process.kill()
		return
	}
	s.process.stop()
}

// Up restarts a stopped server at the same address and with its data.
func (s *Server) Up() error {
	// Keep the port that the system assigned.
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
