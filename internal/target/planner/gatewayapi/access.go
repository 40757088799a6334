package gatewayapi

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"

	"k8s.io/client-go/rest"

	"github.com/applylens/terraform-provider-remediation/internal/access"
)

// Access restricts what a kubeconfig file may do: such a file names an address, can start a program, and can send a
// file from this machine as a token.
type Access struct {
	// Hosts and Executables are the runner's lists.
	Hosts       access.Hosts
	Executables access.Executables
	// Entrusted reports whether a token from this machine may be sent to the address. Nil: the file is the runner's,
	// which may send it anywhere.
	Entrusted func(address string) bool
}

// check returns an error that wraps access.ErrRefused if cfg does something that is not allowed. It is called before
// any connection.
func (a Access) check(cfg *rest.Config) error {
	if err := a.Hosts.Check(cfg.Host); err != nil {
		return err
	}
	if cfg.Proxy != nil {
		server, err := url.Parse(cfg.Host)
		if err != nil {
			return err
		}
		proxy, err := cfg.Proxy(&http.Request{URL: server})
		if err != nil {
			return err
		}
		if proxy != nil {
			if err := a.Hosts.Check(proxy.String()); err != nil {
				return err
			}
		}
	}
	if cfg.ExecProvider != nil && a.Executables != nil {
		program, err := exec.LookPath(cfg.ExecProvider.Command)
		if err != nil {
			return err
		}
		if program, err = filepath.Abs(program); err != nil {
			return err
		}
		if err := a.Executables.Check(program); err != nil {
			return err
		}
	}
	borrowed := cfg.BearerTokenFile != "" || cfg.ExecProvider != nil
	if borrowed && a.Entrusted != nil && !a.Entrusted(cfg.Host) {
		return fmt.Errorf("%w: the configuration chose the kubeconfig file, which would send a token of this machine "+
			"to %s; set REMEDIATION_HOSTS to that host, or name the file in KUBECONFIG", access.ErrRefused, cfg.Host)
	}
	return nil
}
