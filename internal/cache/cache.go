// Package cache carries what the journal knows about the entries of caches from the engine to the targets that have
// caches.
package cache

import "context"

// Known knows which cache entries are in the journal, by their SHA-256 in hexadecimal. A CI system may save and restore
// the folder of a cache, a pull request may contain it, and its entries decide what a plan shows and what runs. So a
// target uses an entry only if it wrote the entry itself, or if the journal names it. Methods are safe for use by
// several goroutines.
type Known interface {
	// Vouches reports whether a record in the journal names the entry with this content.
	Vouches(ctx context.Context, name, sum string) bool
	// Used reports that an answer came from the entry, or was stored in it. The record of the preview will name it.
	Used(name, sum string)
}

type key struct{}

// With returns a context for a preview or a dispatch, in which Of returns k.
func With(ctx context.Context, k Known) context.Context { return context.WithValue(ctx, key{}, k) }

// Of returns what the journal knows. It knows no entry if the context is not from With.
func Of(ctx context.Context) Known {
	if k, ok := ctx.Value(key{}).(Known); ok {
		return k
	}
	return none{}
}

type none struct{}

func (none) Vouches(context.Context, string, string) bool { return false }
func (none) Used(string, string)                          {}
