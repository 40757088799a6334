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
	// apart reports that the sizes of all indices can't be read in one request, because one of them is blocked.
	apart bool
}

// of returns the sizes of the indices that are known, and the indices whose sizes have to be read.
func (k *knownSizes) of(indices []string) (sizes map[string]CacheSizes, unknown []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sizes = make(map[string]CacheSizes, len(indices))
	for _, name := range indices {
		s, known := k.sizes[name]
		switch {
		case slices.Contains(k.cleared, name), k.apart && !known:
			unknown = append(unknown, name)
		case known:
			sizes[name] = s
		}
	}
	return sizes, unknown
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
