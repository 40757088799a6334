package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"reflect"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
)

// omitsVectors reports whether the server leaves vectors out of every source that it returns, unless a request asks for
// them. Elasticsearch does so since 9.2, and can be recognized by its setting for it. The server's own copy keeps them.
func (c *Cluster) omitsVectors(ctx context.Context, index string) (bool, error) {
	return c.vectors.get(ctx, c.clk, func(ctx context.Context) (bool, error) {
		const name = "mapping.exclude_source_vectors"
		var answer map[string]struct {
			Settings, Defaults struct {
				Index map[string]json.RawMessage `json:"index"`
			}
		}
		err := c.get(ctx, "Read whether "+index+" returns vectors", esapi.IndicesGetSettingsRequest{
			Index: escaped(index), Name: []string{"index." + name}, IncludeDefaults: yes()}, &answer)
		for _, i := range answer {
			if lookup(i.Settings.Index, name) != "" || lookup(i.Defaults.Index, name) != "" {
				return true, err
			}
		}
		return false, err
	})
}

// wholeSource is the value of _source in a search that needs everything that was indexed.
func (c *Cluster) wholeSource(ctx context.Context, index string) (any, error) {
	omits, err := c.omitsVectors(ctx, index)
	if !omits {
		return true, err
	}
	return map[string]any{"exclude_vectors": false}, err
}

// rounding is the largest relative difference between the numbers of two vectors that count as equal: the error of the
// coarsest element type.
const rounding = 0.01

// SameSource reports whether two sources have the same JSON value. A server that leaves vectors out of sources stores
// them rounded, so there the numbers of a list may differ by that much.
func (c *Cluster) SameSource(ctx context.Context, index string, a, b json.RawMessage) (bool, error) {
	x, okA := parsed(a)
	y, okB := parsed(b)
	if !okA || !okB || reflect.DeepEqual(x, y) {
		return okA && okB, nil
	}
	omits, err := c.omitsVectors(ctx, index)
	return omits && alike(x, y), err
}

// parsed returns the value of a JSON text with numbers as they are written, and whether it is one.
func parsed(text json.RawMessage) (value any, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	return value, err == nil
}

// alike reports whether two parsed JSON values are equal, apart from the rounding of numbers in lists.
func alike(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		for name, value := range a {
			other, has := b[name]
			ok = ok && has && alike(value, other)
		}
		return ok && len(a) == len(b)
	case []any:
		b, ok := b.([]any)
		ok = ok && len(a) == len(b)
		for i := 0; ok && i < len(a); i++ {
			ok = near(a[i], b[i]) || alike(a[i], b[i])
		}
		return ok
	}
	return reflect.DeepEqual(a, b)
}

// near reports whether both values are numbers that differ by no more than rounding.
func near(a, b any) bool {
	m, isNumber := a.(json.Number)
	n, both := b.(json.Number)
	if !isNumber || !both {
		return false
	}
	x, errX := m.Float64()
	y, errY := n.Float64()
	return errX == nil && errY == nil && math.Abs(x-y) <= rounding*max(math.Abs(x), math.Abs(y))
}

// Current returns documents as they are in an index now, in order, with or without their sources. A missing document
// has the version 0 and no source.
func (c *Cluster) Current(ctx context.Context, index string, documents []Document, sources bool) ([]Document, error) {
	if len(documents) == 0 {
		return nil, nil
	}
	wanted := make([]map[string]string, len(documents))
	for i, d := range documents {
		wanted[i] = map[string]string{"_id": d.ID}
		if d.Routing != "" {
			wanted[i]["routing"] = d.Routing
		}
	}
	var answer struct {
		Docs []Document `json:"docs"`
	}
	body, err := json.Marshal(map[string]any{"docs": wanted})
	if err != nil {
		return nil, err
	}
	path := "/" + escaped(index)[0] + "/_mget"
	if omits, err := c.omitsVectors(ctx, index); err != nil {
		return nil, err
	} else if !sources {
		path += "?_source=false"
	} else if omits {
		path += "?_source_exclude_vectors=false" // esapi does not support this
	}
	err = c.get(ctx, "Read documents of "+index,
		elasticsearch.Plain{Method: http.MethodPost, Path: path, Body: body}, &answer)
	if err == nil && len(answer.Docs) != len(documents) {
		err = fmt.Errorf("read documents from %s: requested %d, got %d", index, len(documents), len(answer.Docs))
	}
	return answer.Docs, err
}
