package reindex_test

import (
	"fmt"
	"strings"
)

// matrixCase is an index definition of the matrix.
type matrixCase struct {
	// settings and properties are members of JSON objects; mappings are further members of the mapping.
	settings, properties, mappings string
	// fields are further members of each document. %d is replaced by a number.
	fields string
	// routed means that every request names a routing.
	routed bool
	// concrete means that clients use the index by its own name, so writers are refused at the switch and retry.
	concrete bool
	// template is a composable or legacy template that gives new indices what the definition has already.
	template string
}

// matrix contains the definitions that are reindexed under writers of every kind.
func matrix() map[string]matrixCase {
	analysis := func(parts string) string { return `"analysis":{` + parts + `}` }
	property := func(name, definition, value string) matrixCase {
		return matrixCase{properties: fmt.Sprintf("%q:%s", name, definition), fields: fmt.Sprintf("%q:%s", name, value)}
	}
	all := map[string]matrixCase{
		"plain":             {},
		"three shards":      {settings: `"number_of_shards":3`},
		"a replica":         {settings: `"number_of_replicas":1`},
		"auto expand":       {settings: `"auto_expand_replicas":"0-1"`},
		"slow refresh":      {settings: `"refresh_interval":"30s"`},
		"no refresh":        {settings: `"refresh_interval":"-1"`},
		"async translog":    {settings: `"translog":{"durability":"async","sync_interval":"1s"}`},
		"compressed":        {settings: `"codec":"best_compression"`},
		"hidden":            {settings: `"hidden":true`},
		"sorted":            {settings: `"sort.field":"n","sort.order":"desc"`},
		"short memory":      {settings: `"gc_deletes":"0s"`},
		"limits":            {settings: `"mapping.total_fields.limit":50,"max_result_window":20000`},
		"slow log":          {settings: `"search.slowlog.threshold.query.warn":"5s"`},
		"similarity":        {settings: `"similarity":{"own":{"type":"BM25","b":0.1}}`},
		"default pipeline":  {settings: `"default_pipeline":"NAME"`},
		"final pipeline":    {settings: `"final_pipeline":"NAME"`},
		"own name":          {concrete: true},
		"own name, shards":  {concrete: true, settings: `"number_of_shards":2`},
		"routing":           {routed: true, mappings: `"_routing":{"required":true}`},
		"partitioned":       {routed: true, settings: `"number_of_shards":3,"routing_partition_size":2`, mappings: `"_routing":{"required":true}`},
		"strict":            {mappings: `"dynamic":"strict"`},
		"dynamic":           {fields: `"more":{"field_%[1]d":%[1]d}`},
		"not dynamic":       {mappings: `"dynamic":false`, fields: `"unknown_%[1]d":"x"`},
		"runtime fields":    {mappings: `"dynamic":"runtime"`, fields: `"later":"x"`},
		"runtime script":    {mappings: `"runtime":{"double":{"type":"long","script":"emit(doc['n'].value * 2)"}}`},
		"dynamic templates": {mappings: `"dynamic_templates":[{"texts":{"match":"s_*","mapping":{"type":"keyword"}}}]`, fields: `"s_1":"x"`},
		"meta":              {mappings: `"_meta":{"owner":"search"}`},
		"no date detection": {mappings: `"date_detection":false`, fields: `"day":"2024-01-01"`},
		"synonyms": {settings: analysis(`"filter":{"syn":{"type":"synonym","synonyms":["a, b"]}},"analyzer":{"own":{"tokenizer":` +
			`"standard","filter":["lowercase","syn"]}}`), properties: `"s":{"type":"text","analyzer":"own"}`, fields: `"s":"a %[1]d"`},
		"char filter": {settings: analysis(`"char_filter":{"c":{"type":"mapping","mappings":["& => and"]}},"analyzer":{"own":` +
			`{"tokenizer":"keyword","char_filter":["c"]}}`), properties: `"s":{"type":"text","analyzer":"own"}`, fields: `"s":"a & b"`},
		"normalizer": {settings: analysis(`"normalizer":{"low":{"type":"custom","filter":["lowercase"]}}`),
			properties: `"s":{"type":"keyword","normalizer":"low"}`, fields: `"s":"ABC %[1]d"`},
		"multi-fields": property("s", `{"type":"text","fields":{"raw":{"type":"keyword"}}}`, `"x y %[1]d"`),
		"copied":       {properties: `"s":{"type":"text","copy_to":"every"},"every":{"type":"text"}`, fields: `"s":"x"`},
		"nested":       property("parts", `{"type":"nested","properties":{"x":{"type":"long"}}}`, `[{"x":%[1]d},{"x":2}]`),
		"object, off":  property("o", `{"type":"object","enabled":false}`, `{"any":[1,"two",{"x":%[1]d}]}`),
		"join": {routed: true, properties: `"j":{"type":"join","relations":{"question":"answer"}}`,
			fields: `"j":"question"`},
		"stored":      property("s", `{"type":"keyword","store":true,"doc_values":false}`, `"x%[1]d"`),
		"not indexed": property("s", `{"type":"long","index":false}`, `%[1]d`),
		"dates":       property("d", `{"type":"date","format":"epoch_second||yyyy-MM-dd"}`, `"2024-02-29"`),
		"nanoseconds": property("d", `{"type":"date_nanos"}`, `"2024-02-29T12:00:00.123456789Z"`),
		"addresses":   property("ip", `{"type":"ip"}`, `"10.0.0.1"`),
		"places":      property("p", `{"type":"geo_point"}`, `{"lat":52.5,"lon":13.4}`),
		"ranges":      property("r", `{"type":"integer_range"}`, `{"gte":-1,"lt":%[1]d}`),
		"vectors":     property("v", `{"type":"dense_vector","dims":3,"index":false}`, `[0.1,0.2,%[1]d.5]`),
		"binary":      property("b", `{"type":"binary"}`, `"U29tZQ=="`),
		"completion":  property("c", `{"type":"completion"}`, `"suggest %[1]d"`),
		"flattened":   property("f", `{"type":"flattened"}`, `{"a":{"b":"%[1]d"}}`),
		"alias field": {properties: `"other":{"type":"alias","path":"n"}`},
		"malformed":   property("m", `{"type":"long","ignore_malformed":true}`, `"no number %[1]d"`),
		"line breaks": property("s", `{"type":"text"}`, `"one\ntwo"`),
		"template":    {settings: `"number_of_shards":2`, template: "_index_template"},
		"legacy":      {settings: `"number_of_shards":2`, template: "_template"},
	}
	return all
}

// body is the definition as the server wants it. pipeline is the name of a pipeline.
func (c matrixCase) body(pipeline string) string {
	join := func(parts ...string) string {
		var set []string
		for _, p := range parts {
			if p != "" {
				set = append(set, p)
			}
		}
		return strings.Join(set, ",")
	}
	settings := c.settings
	if !strings.Contains(settings, "replicas") {
		settings = join(settings, `"number_of_replicas":0`)
	}
	properties := join(`"w":{"type":"integer"},"k":{"type":"keyword"},"n":{"type":"long"}`, c.properties)
	return fmt.Sprintf(`{"settings":{%s},"mappings":{%s}}`, strings.ReplaceAll(settings, "NAME", pipeline),
		join(c.mappings, `"properties":{`+properties+`}`))
}

// document is a document of a writer and a kind of request.
func (c matrixCase) document(writer int, kind string, n int) string {
	out := fmt.Sprintf(`{"w":%d,"k":%q,"n":%d`, writer, kind, n)
	if c.fields == "" {
		return out + "}"
	}
	fields := c.fields
	if strings.Contains(fields, "%[1]d") {
		fields = fmt.Sprintf(fields, n%7) //nolint:govet // the format is one of the table's
	}
	return out + "," + fields + "}"
}
