package elastic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

// schemaVersion is the version of the mappings and of the meaning of documents.
const schemaVersion = 1

// metaKey is the key in mappings and in the template that identifies their owner.
const metaKey = "remediation_journal"

// meta is the "_meta" of mappings and of the template.
type meta map[string]any

// version returns the version in meta, or 0 if meta is not the provider's.
func (m meta) version() int {
	own, ok := m[metaKey].(map[string]any)
	if !ok {
		return 0
	}
	version, _ := own["version"].(float64)
	return int(version)
}

func (s *Store) meta() map[string]any {
	return map[string]any{metaKey: map[string]any{"version": s.limits.version}}
}

// settings returns the settings of a range. One shard, because documents are few and small. Hidden, because operations
// on "*" are not meant for the journal. The translog is synced at each request, because acknowledged entries must be
// durable. All settings are explicit, because templates in the cluster can have other defaults.
func settings() map[string]any {
	return map[string]any{"index": map[string]any{
		"number_of_shards": 1, "auto_expand_replicas": "0-1", "hidden": true, "translog.durability": "request",
	}}
}

// mappings returns the mappings of a range. Searched fields are keywords, which keep the text unchanged and are the
// fastest to find. at is a keyword too: it sorts correctly and keeps nanoseconds. It has a date field in addition, for
// dashboards. Other fields are not indexed.
func (s *Store) mappings() map[string]any {
	keyword := map[string]any{"type": "keyword"}
	stored := map[string]any{"type": "object", "enabled": false}
	return map[string]any{
		"dynamic": "strict", "_meta": s.meta(),
		"properties": map[string]any{
			"seq": map[string]any{"type": "long"}, "execution": keyword, "kind": keyword, "playbook": keyword,
			"target": keyword, "request": keyword, "incident": keyword, "digest": keyword, "identity": keyword,
			"at": map[string]any{"type": "keyword",
				"fields": map[string]any{"date": map[string]any{"type": "date", "ignore_malformed": true}}},
			"body": stored, "prev": stored, "hash": stored, "open": stored, "nonce": stored,
		},
	}
}

// prepare checks what exists under the journal's name, and installs the template if there is no journal yet.
func (s *Store) prepare(ctx context.Context) error {
	ranges, err := s.checkRanges(ctx, s.pattern())
	if err == nil && ranges == 0 {
		// A pattern skips what the caller may not see. A name doesn't.
		_, err = s.checkRanges(ctx, s.rangeOf(1))
		if elasticsearch.HasType(err, missingIndex) && s.existing {
			return s.absent()
		}
		if elasticsearch.HasType(err, missingIndex) {
			return s.putTemplate(ctx)
		}
	}
	return err
}

// checkRanges returns how many indices match the name. All of them must be the journal's.
func (s *Store) checkRanges(ctx context.Context, name string) (int, error) {
	type index struct {
		Mappings struct {
			Meta meta `json:"_meta"`
		} `json:"mappings"`
	}
	var found map[string]index
	err := s.do(ctx, request{
		what: "Look for the journal's indices", method: http.MethodGet, path: "/" + name + "/_mapping?" + everywhere,
		read: decode(&found, func(map[string]index) error { return nil }),
	})
	if err != nil {
		return 0, err
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if err := s.judge("The index "+name, found[name].Mappings.Meta.version()); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

// judge returns nil if version, from the "_meta" of what, is one that this provider knows.
func (s *Store) judge(what string, version int) error {
	switch {
	case version < 1:
		return s.foreign(what + " has a name that this journal uses, but it was not made by this provider.")
	case version > s.limits.version:
		return s.newer(what, version)
	}
	return nil
}

// putTemplate creates or updates the index template. Ranges are created with explicit settings. The template prevents
// Elasticsearch from recreating a deleted range with other mappings. Creating it needs a cluster privilege, which is
// more than the journal requires. Without the privilege there is no template.
func (s *Store) putTemplate(ctx context.Context) error {
	const tooFew = http.StatusForbidden
	version, err := s.templateVersion(ctx)
	switch {
	case elasticsearch.HasStatus(err, tooFew):
		return nil
	case err != nil:
		return err
	case version == s.limits.version:
		return nil
	}
	const priority = 300 // above what is usual for patterns of many indices
	body, err := encode(map[string]any{
		"index_patterns": []string{s.pattern()}, "priority": priority, "allow_auto_create": false, "_meta": s.meta(),
		"version":  s.limits.version,
		"template": map[string]any{"settings": settings(), "mappings": s.mappings()},
	})
	if err != nil {
		return err
	}
	err = s.do(ctx, request{what: "Put the index template", method: http.MethodPut, path: "/_index_template/" + s.index,
		body: body})
	if elasticsearch.HasStatus(err, tooFew) {
		return nil
	}
	return err
}

// templateVersion returns the version of the journal's template, or 0 if there is none.
func (s *Store) templateVersion(ctx context.Context) (int, error) {
	type answer struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Meta meta `json:"_meta"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	var found answer
	err := s.do(ctx, request{
		what: "Look for the index template", method: http.MethodGet, path: "/_index_template/" + s.index,
		read: decode(&found, func(a answer) error {
			if len(a.Templates) != 1 {
				return errors.New("not one template")
			}
			return nil
		}),
	})
	if elasticsearch.HasStatus(err, http.StatusNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	version := found.Templates[0].Template.Meta.version()
	return version, s.judge("The index template "+s.index, version)
}

// createRange creates the index, or verifies that the existing index is the journal's.
func (s *Store) createRange(ctx context.Context, name string) error {
	body, err := encode(map[string]any{"settings": settings(), "mappings": s.mappings()})
	if err != nil {
		return err
	}
	err = s.do(ctx, request{what: "Create the index " + name, method: http.MethodPut, path: "/" + name, body: body})
	if elasticsearch.HasType(err, exists) {
		_, err = s.checkRanges(ctx, name)
	}
	return err
}

// exists is the server's error type for an index that already exists.
const exists = "resource_already_exists_exception"

// createLeases creates the index of leases. None of its fields is searched.
func (s *Store) createLeases(ctx context.Context) error {
	body, err := encode(map[string]any{"settings": settings(),
		"mappings": map[string]any{"enabled": false, "_meta": s.meta()}})
	if err != nil {
		return err
	}
	err = s.do(ctx, request{what: "Create the index " + s.leases(), method: http.MethodPut, path: "/" + s.leases(),
		body: body})
	if err == nil || elasticsearch.HasType(err, exists) {
		return nil
	}
	return fmt.Errorf("the index of leases: %w", err)
}
