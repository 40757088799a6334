// Package file is the planner in a JSON file, for routers that watch one. It is written atomically, under a lock that
// every process of this provider takes, and carries a revision that any other writer is asked to count up.
package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
)

// resolution is what the file can hold, in percentage points. Whoever reads it may round.
const resolution = 0.01

// lockPoll is how often a waiting writer tries the lock.
const lockPoll = 20 * time.Millisecond

// example is shown where the file is missing or malformed.
const example = `{"revision": 1, "stable": "v1", "versions": {"v1": {"percent": 90}, "v2": {"percent": 10}}}`

// Planner is the planner in the file.
type Planner struct{ path string }

var _ planner.Planner = (*Planner)(nil)

// New returns the planner in the file at path, an absolute one. It does no I/O.
func New(path string) *Planner { return &Planner{path: path} }

// document is the file.
type document struct {
	// Revision counts the changes.
	Revision int64 `json:"revision"`
	// Stable is the version that takes what the canary leaves.
	Stable   string             `json:"stable,omitempty"`
	Versions map[string]version `json:"versions"`
}

type version struct {
	Percent float64 `json:"percent"`
	// Down tells that the version is known but not deployed.
	Down bool `json:"down,omitempty"`
}

// Name implements planner.Planner.
func (p *Planner) Name(context.Context) (string, error) { return "planner:file:" + p.path, nil }

// Command implements planner.Planner.
func (p *Planner) Command(shares map[string]float64) string {
	return fmt.Sprintf("write %s: %s", filepath.Base(p.path), planner.Text(shares))
}

// Read implements planner.Planner.
func (p *Planner) Read(context.Context) (planner.Split, error) {
	d, err := p.load()
	if err != nil {
		return planner.Split{}, err
	}
	return d.split(), nil
}

func (d document) split() planner.Split {
	s := planner.Split{
		Revision: strconv.FormatInt(d.Revision,
			10) + ":" + planner.Text(d.shares()), Shares: d.shares(), Stable: d.Stable, Resolution: resolution,
	}
	for _, name := range s.Versions() {
		if d.Versions[name].Down {
			s.Down = append(s.Down, name)
		}
	}
	return s
}

func (d document) shares() map[string]float64 {
	shares := make(map[string]float64, len(d.Versions))
	for name, v := range d.Versions {
		shares[name] = v.Percent
	}
	return shares
}

func (p *Planner) load() (document, error) {
	text, err := os.ReadFile(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return document{}, p.problem("The planner file does not exist", err.Error(), planner.ErrMalformed)
	case err != nil:
		return document{}, p.problem("The planner file can't be read", err.Error(), planner.ErrUnreachable)
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return document{}, p.problem("The planner file is malformed", err.Error(), planner.ErrMalformed)
	}
	if why := d.wrong(); why != "" {
		return document{}, p.problem("The planner file is malformed", why, planner.ErrMalformed)
	}
	return d, nil
}

// wrong says what keeps d from being a split, or nothing.
func (d document) wrong() string {
	sum := 0.0
	for _, v := range d.Versions {
		if v.Percent < 0 || v.Percent > planner.Whole {
			return fmt.Sprintf("A share is %s %%.", planner.Percent(v.Percent))
		}
		sum += v.Percent
	}
	if _, ok := d.Versions[d.Stable]; d.Stable != "" && !ok {
		return fmt.Sprintf("The stable version %q is not among the versions.", d.Stable)
	}
	if math.Abs(sum-planner.Whole) > planner.Tolerance {
		return fmt.Sprintf("The shares sum to %s %%, not to 100 %%.", planner.Percent(sum))
	}
	return ""
}

func (p *Planner) problem(what, why string, cause error) error {
	return &problem.Problem{
		What: what, Why: fmt.Sprintf("%s: %s", p.path, why), Next: "It is expected to look like " + example,
		Path: []string{"planner", "file", "path"}, Err: cause,
	}
}

// Set implements planner.Planner.
func (p *Planner) Set(ctx context.Context, change planner.Change) (planner.Split, error) {
	return p.change(ctx, func(d *document) error {
		now := d.split()
		if err := now.Allows(change); err != nil {
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
		if err := d.split().Check(change.Name); err != nil {
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
		if err := d.split().CheckDown(change.Name); err != nil {
			return err
		}
		d.Versions[change.Name] = version{Down: true}
		return nil
	})
	return err
}

// change reads, changes and writes the file under its lock.
func (p *Planner) change(ctx context.Context, edit func(*document) error) (planner.Split, error) {
	lock := flock.New(p.path + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		if ctx.Err() != nil {
			return planner.Split{}, context.Cause(ctx)
		}
		return planner.Split{}, p.problem("The planner file can't be locked", err.Error(), planner.ErrUnreachable)
	}
	defer func() { _ = lock.Close() }() // the lock goes with the process at the latest
	d, err := p.load()
	if err != nil {
		return planner.Split{}, err
	}
	if err := edit(&d); err != nil {
		return planner.Split{}, err
	}
	d.Revision++
	if err := p.write(d); err != nil {
		return planner.Split{}, p.problem("The planner file can't be written", err.Error(), planner.ErrUnreachable)
	}
	return d.split(), nil
}

// write replaces the file by one rename, so that a reader sees the old content or the new one, and a crash leaves one
// of them.
func (p *Planner) write(d document) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	info, err := os.Stat(p.path)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(p.path), filepath.Base(p.path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already where all went well
	_, err = tmp.Write(append(text, '\n'))
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), p.path)
}
