package provider_test

import "strings"

// badSynonyms are bad values of remediation_synonyms_refresh.
func badSynonyms() map[string]badInput {
	refresh := func(more values) badInput {
		return badInput{resource: "remediation_synonyms_refresh",
			values: with(values{"index_name": "products", "synonym_filter": "product_synonyms"}, more)}
	}
	reindex := func(more values) badInput { return refresh(with(values{"reindex": true}, more)) }
	texts := make(list, 21)
	for i := range texts {
		texts[i] = strings.Repeat("a", i+1)
	}
	return map[string]badInput{
		"index empty": refresh(values{"index_name": ""}).mustSay("at least 1", "index_name"),
		"index all": refresh(values{"index_name": "*"}).mustSay("It refers to every index of the cluster",
			"index_name"),
		"index a path": refresh(values{"index_name": "products/_close"}).mustSay("No index can have this name",
			"index_name"),
		"filter missing":    refresh(values{"synonym_filter": nil}).mustSay("required", "synonym_filter"),
		"filter of blanks":  refresh(values{"synonym_filter": "  "}).mustSay("It is empty", "synonym_filter"),
		"filter of lines":   refresh(values{"synonym_filter": "a\nb"}).mustSay("line break", "synonym_filter"),
		"slices zero":       reindex(values{"slices": 0}).mustSay("between 1 and 1024", "slices"),
		"slices too many":   reindex(values{"slices": 1025}).mustSay("between 1 and 1024", "slices"),
		"slices in part":    reindex(values{"slices": 1.5}).mustSay("a whole number", "slices"),
		"slices of nothing": refresh(values{"slices": 2}).mustSay("reindex is not set", "slices"),
		"pace zero":         reindex(values{"requests_per_second": 0}).mustSay("between 0.001", "requests_per_second"),
		"pace backwards":    reindex(values{"requests_per_second": -1}).mustSay("between 0.001", "requests_per_second"),
		"pace huge":         reindex(values{"requests_per_second": huge}).mustSay("got: 1e+400", "requests_per_second"),
		"pace of nothing": refresh(values{"requests_per_second": 100}).mustSay("reindex is not set",
			"requests_per_second"),
		"old of nothing":  refresh(values{"keep_old_index": true}).mustSay("reindex is not set", "keep_old_index"),
		"probes none":     refresh(values{"probe_texts": list{}}).mustSay("at least 1", "probe_texts"),
		"probes too many": refresh(values{"probe_texts": texts}).mustSay("at most 20", "probe_texts"),
		"probes twice":    refresh(values{"probe_texts": list{"tv", "tv"}}).mustSay("Duplicate", "probe_texts"),
		"probes of blanks": refresh(values{"probe_texts": list{"tv", " "}}).mustSay("Text 2 is empty",
			"probe_texts[1]"),
		"without a cluster": refresh(nil).mustSay("No Elasticsearch is configured", "").onTarget(),
	}
}
