package playbook

import (
	"cmp"
	"maps"
	"slices"
)

// Catalogue contains the playbooks by action type.
type Catalogue map[string]Playbook

// NewCatalogue returns a catalogue of the given playbooks.
func NewCatalogue(playbooks ...Playbook) Catalogue {
	c := make(Catalogue, len(playbooks))
	for _, p := range playbooks {
		c[p.Metadata().ActionType] = p
	}
	return c
}

// Entries returns the Metadata of all playbooks, sorted by action type.
func (c Catalogue) Entries() []Metadata {
	entries := make([]Metadata, 0, len(c))
	for p := range maps.Values(c) {
		entries = append(entries, p.Metadata())
	}
	slices.SortFunc(entries, func(a, b Metadata) int { return cmp.Compare(a.ActionType, b.ActionType) })
	return entries
}
