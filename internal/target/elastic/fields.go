package elastic

import (
	"maps"
	"slices"
	"strings"
)

// fields are the fields of a mapping, by their full names.
type fields map[string]field

func (f fields) add(prefix string, below map[string]field) {
	for name, one := range below {
		if len(one.Properties) == 0 {
			f[prefix+name] = one
		}
		f.add(prefix+name+".", one.Fields)
		f.add(prefix+name+".", one.Properties)
	}
}

// FieldNames returns the names of the fields of an index that have values of their own, sorted, and the targets of its
// field aliases.
func (i Index) FieldNames() (names []string, aliases map[string]string) {
	all := fields{}
	all.add("", i.mapping.Properties)
	aliases = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name].Type == "alias" {
			aliases[name] = all[name].Path
		} else {
			names = append(names, name)
		}
	}
	return names, aliases
}

// IsInternal reports whether a name is that of a field which a mapping does not list: a metadata field, or one that a
// join field keeps per relation.
func IsInternal(name string) bool { return strings.HasPrefix(name, "_") || strings.Contains(name, "#") }
