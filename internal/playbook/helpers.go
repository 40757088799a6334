package playbook

import (
	"errors"
	"math"
	"net/url"
)

// NeverBegan adds ErrNeverBegan to err if err wraps said, the target's own error for work that never began.
func NeverBegan(err, said error) error {
	if errors.Is(err, said) {
		return errors.Join(ErrNeverBegan, err)
	}
	return err
}

// FileURL returns the URL of a file on this machine, or an empty string if path is empty.
func FileURL(path string) string {
	if path == "" {
		return ""
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// Cents rounds an amount in US dollars to cents: 3 times 0.05 is 0.15.
func Cents(usd float64) float64 {
	const cents = 100
	return math.Round(usd*cents) / cents
}
