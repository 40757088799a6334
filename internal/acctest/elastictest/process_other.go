//go:build !linux

package elastictest

import "errors"

type process struct {
	gone    chan struct{}
	address string
}

func launch(_, _, _ string) (*process, error) {
	return nil, errors.New("starting a test server needs Linux: set ELASTICSEARCH_ENDPOINTS to a cluster instead")
}

func (p *process) stop() {}

func (p *process) kill() {}

func reachable(dist, _ string) (string, error) { return dist, nil }

func giveAway(string) error { return nil }
