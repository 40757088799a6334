//go:build !unix

package sqlite

// writable returns nil, because these systems can't be asked. The first write then decides.
func writable(string) error { return nil }
