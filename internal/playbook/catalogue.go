package playbook

import (
	"cmp"
	"maps"
	"slices"
)

// Catalogue holds the playbooks by action type.
type Catalogue map[string]Playbook

// NewCatalogue returns a catalogue of the given playbooks.
func NewCatalogue(playbooks ...Playbook) Catalogue {
	c := make(Catalogue, len(playbooks))
	for _, p := range playbooks {
		c[p.Entry().ActionType] = p
	}
	return c
}

// Entries returns all pages, by action type.
func (c Catalogue) Entries() []Entry {
	entries := make([]Entry, 0, len(c))
	for p := range maps.Values(c) {
		entries = append(entries, p.Entry())
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.ActionType, b.ActionType) })
	return entries
}
