package playbook

import "context"

// Caches knows which cache entries of a target are in the journal, by their SHA-256 in hexadecimal. Anyone who can
// write the folder of a cache can edit its entries, so a target uses only those that the journal vouches for. Methods
// are safe for use by several goroutines.
type Caches interface {
	// Vouches reports whether a record in the journal names the entry with this content.
	Vouches(ctx context.Context, name, sum string) bool
	// Used reports that the preview came from the entry, or was stored in it. The record of the preview will name it.
	Used(name, sum string)
}

type cachesKey struct{}

// WithCaches returns a context for Preview and Dispatch, in which CachesOf returns c.
func WithCaches(ctx context.Context, c Caches) context.Context {
	return context.WithValue(ctx, cachesKey{}, c)
}

// CachesOf returns what the journal knows about caches. It knows no entry if the context is not from WithCaches.
func CachesOf(ctx context.Context) Caches {
	if c, ok := ctx.Value(cachesKey{}).(Caches); ok {
		return c
	}
	return noCaches{}
}

type noCaches struct{}

func (noCaches) Vouches(context.Context, string, string) bool { return false }
func (noCaches) Used(string, string)                          {}
