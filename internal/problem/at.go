package problem

import "errors"

// At adds the path of the attribute at fault to err, if err is a Problem without a path.
func At(err error, path ...string) error {
	var p *Problem
	if !errors.As(err, &p) || len(p.Path) > 0 {
		return err
	}
	located := *p
	located.Path, located.Err = path, err
	return &located
}
