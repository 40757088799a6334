package haproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

const (
	timeout = 10 * time.Second
	// maxAnswer is the largest answer that is read, in bytes.
	maxAnswer = 4 << 20
	// end follows the answer to each command in a line.
	end = "\n\n"
)

// errNotSent is wrapped by the error for a line that did not reach HAProxy.
var errNotSent = errors.New("nothing was sent")

// CheckAddress returns an error if address can't be the address of a runtime API.
func CheckAddress(address string) error {
	network, at, err := dialTo(address)
	if err != nil || network != "tcp" {
		return err
	}
	host, port, err := net.SplitHostPort(at)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" ||
		strings.ContainsAny(host, "@/?# ") {
		return errors.New("an address of tcp:// is a host and a port, such as tcp://127.0.0.1:9999")
	}
	return nil
}

func dialTo(address string) (network, at string, err error) {
	for scheme, network := range map[string]string{"unix://": "unix", "tcp://": "tcp"} {
		if at, ok := strings.CutPrefix(address, scheme); ok && at != "" {
			return network, at, nil
		}
	}
	return "", "", fmt.Errorf("%q does not begin with unix:// or tcp://", address)
}

// do sends commands that return nothing on success, all in one line. An error that wraps ErrUncertain means that some
// of them may have been executed; a refusal contains the first reason.
func (p *Planner) do(ctx context.Context, commands ...string) error {
	if len(commands) == 0 {
		return nil
	}
	text, err := p.ask(ctx, strings.Join(commands, "; "))
	if errors.Is(err, errNotSent) {
		return err
	}
	if err != nil {
		return errors.Join(planner.ErrUncertain, err)
	}
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	if len(lines) == 0 && strings.Count(text, "\n") < len(commands) {
		return errors.Join(planner.ErrUncertain, p.problem("HAProxy's runtime API closed the connection",
			"It did not answer every command.", "address", planner.ErrUnreachable))
	}
	if len(lines) == 0 {
		return nil
	}
	cause := planner.ErrShares
	if strings.Contains(text, "Permission denied") {
		cause = planner.ErrForbidden
	}
	return p.problem("HAProxy refused a command", short(lines[0])+".", "address", cause)
}

// ask sends one line and returns the answer.
func (p *Planner) ask(ctx context.Context, line string) (answer string, err error) {
	began := time.Now()
	defer func() {
		logging.Debug(ctx, logging.Planner, "HAProxy command", "command", line, "bytes", len(answer), "ms",
			time.Since(began).Milliseconds(), "failed", err != nil)
	}()
	network, at, err := dialTo(p.cfg.Address)
	if err != nil {
		return "", p.notSent("Invalid address of HAProxy's runtime API", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, at)
	if err != nil {
		return "", p.notSent("HAProxy's runtime API can't be reached", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err = io.WriteString(conn, line+"\n"); err == nil {
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(bufio.NewReader(conn), maxAnswer)); err == nil {
			return string(text), nil
		}
	}
	return "", p.problem("HAProxy's runtime API closed the connection "+
		"early", err.Error()+".", "address", planner.ErrUnreachable)
}

func (p *Planner) notSent(what string, err error) error {
	return errors.Join(p.problem(what, err.Error()+".", "address", planner.ErrUnreachable), errNotSent)
}

func short(text string) string {
	const longest = 200
	text = strings.TrimRight(strings.TrimSpace(text), ".")
	if len(text) > longest {
		return text[:longest] + "..."
	}
	return text
}
