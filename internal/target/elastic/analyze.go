package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// Token is a token of an analyzed text.
type Token struct {
	Text     string `json:"token"`
	Position int    `json:"position"`
	// Type is SYNONYM for tokens that a synonym filter added.
	Type string `json:"type"`
}

// FromSynonyms reports whether a synonym filter added the token.
func (t Token) FromSynonyms() bool { return t.Type == "SYNONYM" }

// Tokens analyzes a text with an analyzer of the index, and the synonyms that the analyzer has loaded.
func (c *Cluster) Tokens(ctx context.Context, index, analyzer, text string) ([]Token, error) {
	return c.analyze(ctx, index, map[string]any{"analyzer": analyzer, "text": text})
}

// Probe is a text for FreshTokens, the analyzer to use, and the synonym filter in that analyzer.
type Probe struct {
	Analyzer, Filter, Text string
	// Strict overrides the lenient setting of the filter: a rule that the filter would drop is an error.
	Strict bool
}

// FreshTokens analyzes a text with the analyzer as it would be after a reload. The request defines a temporary copy of
// the analyzer, which reads the synonyms from their source. An error means that they can't be loaded, and explains why.
// Nothing changes. FreshTokens can't inspect an analyzer that wraps the filter; see Analyzer.Wrapped.
func (c *Cluster) FreshTokens(ctx context.Context, index Index, p Probe) ([]Token, error) {
	a := index.analysis.Analyzer[p.Analyzer]
	request := map[string]any{"tokenizer": a.Tokenizer, "text": p.Text}
	if len(a.CharFilter) > 0 {
		request["char_filter"] = a.CharFilter
	}
	chain := []any{}
	for _, name := range a.Filter {
		if name = strings.TrimSpace(name); name == p.Filter {
			filter := maps.Clone(index.analysis.Filter[name].all)
			if p.Strict {
				filter["lenient"] = json.RawMessage("false")
			}
			chain = append(chain, filter)
			continue
		}
		chain = append(chain, name)
	}
	request["filter"] = chain
	return c.analyze(ctx, index.Name, request)
}

func (c *Cluster) analyze(ctx context.Context, index string, request map[string]any) ([]Token, error) {
	var answer struct {
		Tokens []Token `json:"tokens"`
	}
	err := c.get(ctx, "Analyze a text with "+index,
		esapi.IndicesAnalyzeRequest{Index: escaped(index)[0], Body: elasticsearch.Body(request)}, &answer)
	return answer.Tokens, err
}

// Reloaded contains the analyzers that were or would be reloaded, by index.
type Reloaded map[string][]string

// ReloadCommand is the reload request as a user would type it.
func ReloadCommand(indices []string, set string) string {
	return "POST " + reloadPath(indices, set)
}

func reloadPath(indices []string, set string) string {
	path := "/" + strings.Join(indices, ",") + "/_reload_search_analyzers"
	if set != "" {
		path += "?resource=" + url.QueryEscape(set)
	}
	return path
}

// PreviewReload asks the server what a reload would update. Nothing changes.
func (c *Cluster) PreviewReload(ctx context.Context, indices []string, set string) (Reloaded, error) {
	return c.reload(ctx, indices, set, true)
}

// ReloadAnalyzers reloads the updateable analyzers of the indices on all nodes. With the name of a synonym set, it
// reloads only the analyzers that use the set. It returns an error if the reload failed on some shards, although the
// server then answers 200.
func (c *Cluster) ReloadAnalyzers(ctx context.Context, indices []string, set string) (Reloaded, error) {
	return c.reload(ctx, indices, set, false)
}

func (c *Cluster) reload(ctx context.Context, indices []string, set string, preview bool) (Reloaded, error) {
	out := Reloaded{}
	for _, some := range chunks(indices) {
		what, path := "Reload the search analyzers of "+Names(some), reloadPath(escaped(some...), set)
		if preview {
			what = "Preview the reload of the search analyzers of " + Names(some)
			separator := "?"
			if set != "" {
				separator = "&"
			}
			path += separator + "preview=true"
		}
		var answer struct {
			Shards  shards `json:"_shards"`
			Details []struct {
				Index     string   `json:"index"`
				Analyzers []string `json:"reloaded_analyzers"`
			} `json:"reload_details"`
		}
		// esapi does not support preview.
		err := c.get(ctx, what, elasticsearch.Plain{Method: http.MethodPost, Path: path}, &answer)
		if err == nil {
			err = answer.Shards.Check(what)
		}
		if err != nil {
			return nil, err
		}
		for _, d := range answer.Details {
			out[d.Index] = append(out[d.Index], d.Analyzers...)
			slices.Sort(out[d.Index])
		}
	}
	return out, nil
}

// Lacks lists the wanted analyzers that are missing, as "analyzer of index".
func (r Reloaded) Lacks(wanted Reloaded) []string {
	var out []string
	for _, index := range slices.Sorted(maps.Keys(wanted)) {
		for _, analyzer := range wanted[index] {
			if !slices.Contains(r[index], analyzer) {
				out = append(out, analyzer+" of "+index)
			}
		}
	}
	return out
}

// SynonymsSet returns the rules of a set of the synonyms API.
func (c *Cluster) SynonymsSet(ctx context.Context, set string) ([]string, error) {
	const page = 1_000
	var rules []string
	for {
		var answer struct {
			Count int `json:"count"`
			Rules []struct {
				Synonyms string `json:"synonyms"`
			} `json:"synonyms_set"`
		}
		from, size := len(rules), page
		err := c.get(ctx, fmt.Sprintf("Read the synonyms set %q", set),
			esapi.SynonymsGetSynonymRequest{DocumentID: escaped(set)[0], From: &from, Size: &size}, &answer)
		if IsMissing(err) {
			p := *problem.Of(err, "")
			p.What = fmt.Sprintf("There is no synonyms set called %q", set)
			p.Next = "Create it (PUT /_synonyms/" + set + "), then plan again."
			return nil, &p
		}
		if err != nil {
			return nil, err
		}
		for _, r := range answer.Rules {
			rules = append(rules, r.Synonyms)
		}
		if len(answer.Rules) < page || len(rules) >= answer.Count {
			return rules, nil
		}
	}
}
