// Package file implements planner.Planner with a JSON file, for routers that watch one. The file is written atomically,
// under a lock that every process of this provider takes, and has a revision that every other writer should increment.
// If the path is a symbolic link, the file to which it leads is read and written.
package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// resolution is in percentage points. The file can contain more digits, but its readers may round.
const resolution = 0.01

// lockPoll is how often a waiting writer tries to lock the file.
const lockPoll = 20 * time.Millisecond

// example is shown if the file is missing or malformed.
const example = `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`

// Planner is a planner in a JSON file.
type Planner struct{ path string }

var _ planner.Planner = (*Planner)(nil)

// New returns the planner in the file at path, which must be absolute. It does no I/O.
func New(path string) *Planner { return &Planner{path: path} }

// document is the content of the file.
type document struct {
	// Revision counts the changes.
	Revision int64 `json:"revision"`
	// Stable is the version that takes the traffic that the canary does not.
	Stable   string             `json:"stable,omitempty"`
	Versions map[string]version `json:"versions"`
}

type version struct {
	Percent float64 `json:"percent"`
	// Down reports that the version is known but not deployed.
	Down bool `json:"down,omitempty"`
}

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) { return "planner:file:" + p.path, nil }

// Command implements planner.Planner.
func (p *Planner) Command(_ planner.Split, shares map[string]float64) string {
	return fmt.Sprintf("write %s: %s", filepath.Base(p.path), planner.Text(shares))
}

// identity is the file, regardless of the links to it.
type identity struct {
	File string `json:"file"`
}

// real returns the file to which path points. If there is none, reading it returns the error.
func (p *Planner) real() string {
	if real, err := filepath.EvalSymlinks(p.path); err == nil {
		return real
	}
	return p.path
}

// Read implements planner.Planner.
func (p *Planner) Read(ctx context.Context) (planner.Split, error) {
	d, err := p.load(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	return p.split(d), nil
}

func (p *Planner) split(d document) planner.Split {
	s := planner.Split{
		Revision: strconv.FormatInt(d.Revision, 10) + ":" + planner.Text(d.shares()), State: encode(d.Versions),
		Shares: d.shares(), Stable: d.Stable, Resolution: resolution, Identity: identity{p.real()},
	}
	for _, name := range s.Versions() {
		if d.Versions[name].Down {
			s.Down = append(s.Down, name)
		}
	}
	s.Plain = d.plain()
	if real := p.real(); real != p.path {
		s.Aliases = []string{"planner:file:" + real}
	}
	return s
}

// plain reports whether setting the shares alone writes the same file: whole percents of one or two versions that are
// up.
func (d document) plain() bool {
	const most = 2
	busy := 0
	for _, v := range d.Versions {
		if v.Percent != math.Round(v.Percent) || v.Down && v.Percent > 0 {
			return false
		}
		if v.Percent > 0 {
			busy++
		}
	}
	return busy <= most
}

func encode(versions map[string]version) planner.State {
	text, err := json.Marshal(versions)
	if err != nil {
		return nil // numbers always encode
	}
	return text
}

func (d document) shares() map[string]float64 {
	shares := make(map[string]float64, len(d.Versions))
	for name, v := range d.Versions {
		shares[name] = v.Percent
	}
	return shares
}

func (p *Planner) load(ctx context.Context) (document, error) {
	content, err := os.ReadFile(p.path)
	logging.Debug(ctx, logging.Planner, "read the planner file", "path", p.path, "bytes", len(content), "failed",
		err != nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return document{}, p.problem("The planner file does not exist", err.Error(), planner.ErrMalformed)
	case err != nil:
		return document{}, p.problem("The planner file can't be read", err.Error(), planner.ErrUnreachable)
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		why := text.JSONProblem(err, content)
		return document{}, p.problem("The planner file is malformed", why, planner.ErrMalformed)
	}
	if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
		return document{}, p.problem("The planner file is malformed", "It has more text after the JSON document.",
			planner.ErrMalformed)
	}
	if why := d.wrong(); why != "" {
		return document{}, p.problem("The planner file is malformed", why, planner.ErrMalformed)
	}
	return d, nil
}

// wrong returns why d is not a split, or an empty string.
func (d document) wrong() string {
	if why := planner.WrongName(d.Versions); why != "" {
		return why
	}
	sum := 0.0
	for _, v := range d.Versions {
		if v.Percent < 0 || v.Percent > planner.Whole {
			return fmt.Sprintf("A share is %s.", planner.Percent(v.Percent))
		}
		sum += v.Percent
	}
	if _, ok := d.Versions[d.Stable]; d.Stable != "" && !ok {
		return fmt.Sprintf("The stable version %q is not among the versions.", d.Stable)
	}
	if math.Abs(sum-planner.Whole) > planner.Tolerance {
		return fmt.Sprintf("The shares sum to %s, not to 100%%.", planner.Percent(sum))
	}
	return ""
}

func (p *Planner) problem(what, why string, cause error) error {
	return &problem.Problem{
		What: what, Why: fmt.Sprintf("%s: %s", p.path, why), Next: "It should look like " + example,
		Path: []string{"planner", "file", "path"}, Err: cause,
	}
}

// Set implements planner.Planner.
func (p *Planner) Set(ctx context.Context, change planner.Change) (planner.Split, error) {
	return p.change(ctx, func(d *document) error {
		if err := p.split(*d).Allows(change); err != nil {
			return err
		}
		for name, v := range d.Versions {
			v.Percent = change.Shares[name]
			d.Versions[name] = v
		}
		return nil
	})
}

// Deploy implements planner.Planner.
func (p *Planner) Deploy(ctx context.Context, change planner.Version) error {
	_, err := p.change(ctx, func(d *document) error {
		if err := p.split(*d).Check(change.Name); err != nil {
			return err
		}
		v := d.Versions[change.Name]
		v.Down = false
		d.Versions[change.Name] = v
		return nil
	})
	return err
}

// Decommission implements planner.Planner.
func (p *Planner) Decommission(ctx context.Context, change planner.Version) error {
	_, err := p.change(ctx, func(d *document) error {
		if err := p.split(*d).CheckDown(change.Name); err != nil {
			return err
		}
		d.Versions[change.Name] = version{Down: true}
		return nil
	})
	return err
}

// Restoring implements planner.Planner.
func (p *Planner) Restoring(now planner.Split, state planner.State) (string, map[string]float64, error) {
	versions, err := p.decode(now, state)
	if err != nil {
		return "", nil, err
	}
	shares := document{Versions: versions}.shares()
	line := p.Command(now, shares)
	for _, name := range now.Versions() {
		if v := versions[name]; v.Down && now.Deployed(name) {
			line += ", " + name + " down"
		} else if !v.Down && !now.Deployed(name) {
			line += ", " + name + " up"
		}
	}
	return line, shares, nil
}

// decode decodes a state, which must name exactly the versions in the file.
func (p *Planner) decode(now planner.Split, state planner.State) (map[string]version, error) {
	var versions map[string]version
	err := json.Unmarshal(state, &versions)
	if err != nil {
		return nil, p.problem("The state to restore is invalid", err.Error(), planner.ErrShares)
	}
	d := document{Versions: versions}
	if why := d.wrong(); why != "" {
		return nil, p.problem("The state to restore is not a split", why, planner.ErrShares)
	}
	if got := slices.Sorted(maps.Keys(versions)); !slices.Equal(got, now.Versions()) {
		return nil, p.problem("The state to restore belongs to other versions",
			fmt.Sprintf("It names %s, and the file %s.", strings.Join(got, ", "), strings.Join(now.Versions(), ", ")),
			planner.ErrShares)
	}
	return versions, nil
}

// Project implements planner.Projecting.
func (p *Planner) Project(now planner.Split, e planner.Effect) (planner.Split, error) {
	versions, err := p.decode(now, now.State)
	if err != nil {
		return planner.Split{}, err
	}
	if e.Restore != nil {
		versions, err = p.decode(now, e.Restore)
		return p.split(document{Stable: now.Stable, Versions: versions}), err
	}
	for name, v := range versions {
		v.Down = v.Down && name != e.Deploy
		if e.Shares != nil {
			v.Percent = e.Shares[name]
		}
		if name == e.Decommission {
			v = version{Down: true}
		}
		versions[name] = v
	}
	return p.split(document{Stable: now.Stable, Versions: versions}), nil
}

// Restore implements planner.Planner.
func (p *Planner) Restore(ctx context.Context, r planner.Restoration) (planner.Split, error) {
	return p.change(ctx, func(d *document) error {
		now := p.split(*d)
		if now.Revision != r.Revision {
			return planner.Moved(now)
		}
		versions, err := p.decode(now, r.State)
		if err == nil {
			d.Versions = versions
		}
		return err
	})
}

// change reads, changes and writes the file under its lock.
func (p *Planner) change(ctx context.Context, edit func(*document) error) (planner.Split, error) {
	lock := flock.New(p.real() + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		if ctx.Err() != nil {
			return planner.Split{}, context.Cause(ctx)
		}
		return planner.Split{}, p.problem("The planner file can't be locked", err.Error(), planner.ErrUnreachable)
	}
	defer func() { _ = lock.Close() }() // the lock ends with the process at the latest
	d, err := p.load(ctx)
	if err != nil {
		return planner.Split{}, err
	}
	if err := edit(&d); err != nil {
		return planner.Split{}, err
	}
	d.Revision++
	err = p.write(d)
	logging.Debug(ctx, logging.Planner, "wrote the planner file", "path", p.real(), "revision", d.Revision, "failed",
		err != nil)
	if err != nil {
		return planner.Split{}, p.problem("The planner file can't be written", err.Error(), planner.ErrUnreachable)
	}
	return p.split(d), nil
}

// write replaces the file with one rename: a reader or a crash sees either the old content or the new.
func (p *Planner) write(d document) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	path := p.real()
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return replace(path, append(text, '\n'), info)
}
