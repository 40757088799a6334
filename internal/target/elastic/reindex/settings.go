package reindex

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

// Settings below "index" that are specific to one index and are not copied.
var (
	ownNames = []string{"uuid", "creation_date", "creation_date_string", "provided_name", "verified_before_close",
		"frozen"}
	ownPrefixes = []string{"version.", "resize.", "shrink.", "history.", "blocks.",
		"routing.allocation.initial_recovery.", "store.snapshot.", "lifecycle.indexing_complete"}
)

// building contains the settings that are applied after the copy, with their values until then. These values speed the
// copy up, preserve the documents unchanged, and allow a document to be created again with a lower version.
var building = map[string]any{
	"index.number_of_replicas":           0,
	"index.auto_expand_replicas":         "false",
	"index.refresh_interval":             "-1",
	"index.translog.durability":          "async",
	"index.gc_deletes":                   "0s",
	"index.default_pipeline":             "_none",
	"index.final_pipeline":               "_none",
	"index.write.wait_for_active_shards": "1",
	"index.routing.allocation.enable":    "all",
}

// latePrefix is the prefix of lifecycle policy settings, which would act on the new index while it is being filled.
const latePrefix = "index.lifecycle."

// definition returns the definition with which the new index is created, and the settings that the index gets at the
// end. A nil value resets a setting that the old index does not have.
func definition(old elastic.Index) (create, late map[string]any, err error) {
	all := map[string]any{}
	if err := flatten("index", old.Settings, all); err != nil {
		return nil, nil, err
	}
	late = map[string]any{}
	for name := range building {
		late[name] = all[name]
	}
	settings := map[string]any{}
	for name, value := range all {
		switch {
		case own(strings.TrimPrefix(name, "index.")):
		case strings.HasPrefix(name, latePrefix):
			late[name] = value
		default:
			settings[name] = value
		}
	}
	if expand, ok := late["index.auto_expand_replicas"].(string); ok && expand != "false" {
		// Elasticsearch then adjusts the number itself.
		delete(late, "index.number_of_replicas")
	}
	maps.Copy(settings, building)
	settings[writeBlock] = true
	create = map[string]any{"settings": settings}
	if len(old.Mappings) > 0 {
		create["mappings"] = old.Mappings
	}
	return create, late, nil
}

func own(name string) bool {
	for _, n := range ownNames {
		if name == n {
			return true
		}
	}
	for _, p := range ownPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// flatten converts nested settings to dotted names.
func flatten(prefix string, nested map[string]json.RawMessage, into map[string]any) error {
	for name, raw := range nested {
		below := map[string]json.RawMessage{}
		if json.Unmarshal(raw, &below) == nil && below != nil {
			if err := flatten(prefix+"."+name, below, into); err != nil {
				return err
			}
			continue
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return err
		}
		into[prefix+"."+name] = value
	}
	return nil
}
