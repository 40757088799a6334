package elastic

import (
	"maps"
	"slices"
	"sync"
)

// knownSizes contains the sizes of the caches of all indices, as last read. It is safe for use by several goroutines.
type knownSizes struct {
	mu    sync.Mutex
	sizes map[string]CacheSizes
	// cleared are the indices whose caches were cleared since their sizes were read.
	cleared []string
}

// of returns the sizes of the indices that are known, and the indices whose caches were cleared since.
func (k *knownSizes) of(indices []string) (sizes map[string]CacheSizes, cleared []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sizes = make(map[string]CacheSizes, len(indices))
	for _, name := range indices {
		if slices.Contains(k.cleared, name) {
			cleared = append(cleared, name)
		} else if s, ok := k.sizes[name]; ok {
			sizes[name] = s
		}
	}
	return sizes, cleared
}

// set replaces the sizes of some indices.
func (k *knownSizes) set(sizes map[string]CacheSizes) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.Copy(k.sizes, sizes)
	k.cleared = slices.DeleteFunc(k.cleared, func(name string) bool { _, ok := sizes[name]; return ok })
}

// clear records that the caches of the indices were cleared.
func (k *knownSizes) clear(indices []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cleared = append(k.cleared, indices...)
}
