package elastic

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Kind says what a name refers to.
type Kind string

// Kinds of names.
const (
	KindIndex      Kind = "index"
	KindAlias      Kind = "alias"
	KindDataStream Kind = "data stream"
	KindPattern    Kind = "pattern"
)

// Resolution contains the indices to which a name refers.
type Resolution struct {
	Kind Kind
	// Indices are the concrete open indices, sorted.
	Indices []string
	// Closed are the concrete closed indices, sorted.
	Closed []string
	// WriteIndex is the index that a data stream writes to, otherwise empty.
	WriteIndex string
}

// names contains all names of a cluster that the caller may see.
type names struct {
	indices map[string]indexName
	aliases map[string][]string
	streams map[string][]string
}

type indexName struct {
	closed, hidden, system, backing bool
}

// backingPrefix is the prefix of the indices behind data streams, whose names look like those of system indices.
const backingPrefix = ".ds-"

// CheckExpression returns a *problem.Problem for a name that is never valid here, without any I/O. An expression for
// all indices (empty, _all, *) is valid only with allowAll.
func CheckExpression(expression string, allowAll bool) error {
	refuse := func(why, next string) error {
		return &problem.Problem{What: fmt.Sprintf("%q is not a valid index, alias, pattern or data stream",
			expression), Why: why, Next: next, Err: ErrRefused}
	}
	const longest = 255 // bytes, of the name of an index
	for part := range strings.SplitSeq(expression, ",") {
		switch {
		case len(part) > longest:
			return refuse("A name is longer than 255 bytes.", "Name an index, an alias, a data stream or a pattern.")
		case part != "" && check.OneLine(part) != "":
			return refuse("One of its parts "+check.OneLine(part)+".",
				"Write names without blanks, separated by one comma.")
		case (part == "" || part == "_all" || strings.Trim(part, "*") == "") && !allowAll:
			return refuse("It refers to every index of the cluster.",
				"Name an index, an alias, a data stream or a narrower pattern; or set allow_all = true if every "+
					"index is meant.")
		case part == "" && expression != "":
			return refuse("One of its parts is empty.", "Separate names by one comma.")
		case strings.HasPrefix(part, "-"):
			return refuse("It excludes names from a pattern.", "List the names to include instead.")
		case strings.HasPrefix(part, "<"), strings.Contains(part, ":"):
			return refuse("Date math and indices of other clusters are not supported.",
				"Name an index of this cluster.")
		case strings.HasPrefix(part, "_") && part != "_all", strings.HasPrefix(part, "+"),
			strings.ContainsAny(part, "\\/?\"<>| #"), strings.ToLower(part) != part:
			return refuse("No index can have this name.",
				`Names are lower case, do not begin with - _ or +, and hold none of \ / ? " < > | # and blanks.`)
		}
	}
	return nil
}

// Resolve resolves an expression: a name, a pattern, or several separated by commas. It reads all names with one
// request, which other calls share for half a minute. It returns a *problem.Problem with ErrRefused, ErrNotFound (with
// similar names) or ErrClosed. With ErrClosed, it also returns the names of the closed indices.
func (c *Cluster) Resolve(ctx context.Context, expression string, allowAll bool) (Resolution, error) {
	if err := CheckExpression(expression, allowAll); err != nil {
		return Resolution{}, err
	}
	all, err := c.names.get(ctx, c.clk, c.readNames)
	if err != nil {
		return Resolution{}, err
	}
	if expression == "" || expression == "_all" {
		expression = "*"
	}
	found := Resolution{Kind: KindPattern}
	parts := strings.Split(expression, ",")
	for _, part := range parts {
		one, err := all.resolve(part)
		if err != nil {
			return Resolution{}, err
		}
		if len(parts) == 1 {
			found.Kind, found.WriteIndex = one.Kind, one.WriteIndex
		}
		found.Indices, found.Closed = append(found.Indices, one.Indices...), append(found.Closed, one.Closed...)
	}
	slices.Sort(found.Indices)
	slices.Sort(found.Closed)
	found.Indices, found.Closed = slices.Compact(found.Indices), slices.Compact(found.Closed)
	for _, name := range slices.Concat(found.Indices, found.Closed) {
		if all.indices[name].isSystem(name) {
			return Resolution{}, &problem.Problem{
				What: fmt.Sprintf("%s is a system index",
					name), Why: fmt.Sprintf("%q refers to it, and Elasticsearch or a product of the stack keeps its "+
					"own data there.", expression),
				Next: "Name one of your own indices.", Err: ErrRefused,
			}
		}
	}
	if len(found.Indices) == 0 {
		return found, &problem.Problem{
			What: fmt.Sprintf("%s is closed", strings.Join(found.Closed,
				", ")), Why: "A closed index can't be searched, and has no caches and no analyzers.",
			Next: "Open it (POST /" + strings.Join(found.Closed, ",") + "/_open), then plan again.", Err: ErrClosed,
		}
	}
	return found, nil
}

// isSystem reports whether an index is a system index: Elasticsearch marks it as one, or its name begins with a dot and
// it does not belong to a data stream.
func (i indexName) isSystem(name string) bool {
	return i.system || strings.HasPrefix(name, ".") && !i.backing && !strings.HasPrefix(name, backingPrefix)
}

func (n names) resolve(part string) (Resolution, error) {
	if strings.Contains(part, "*") {
		return n.match(part)
	}
	if _, ok := n.indices[part]; ok {
		return n.split(KindIndex, []string{part}), nil
	}
	if indices, ok := n.aliases[part]; ok {
		return n.split(KindAlias, indices), nil
	}
	if backing, ok := n.streams[part]; ok {
		r := n.split(KindDataStream, backing)
		if len(backing) > 0 {
			r.WriteIndex = backing[len(backing)-1]
		}
		return r, nil
	}
	return Resolution{}, n.notFound(part)
}

// match resolves a pattern. As in Elasticsearch, hidden indices and names that begin with a dot only match a pattern
// that begins with a dot.
func (n names) match(pattern string) (Resolution, error) {
	var found []string
	covers := func(name string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	}
	for name, i := range n.indices {
		if covers(name) && (!i.hidden && !strings.HasPrefix(name, ".") || strings.HasPrefix(pattern, ".")) {
			found = append(found, name)
		}
	}
	for _, group := range []map[string][]string{n.aliases, n.streams} {
		for name, indices := range group {
			if covers(name) && (!strings.HasPrefix(name, ".") || strings.HasPrefix(pattern, ".")) {
				found = append(found, indices...)
			}
		}
	}
	if len(found) == 0 {
		return Resolution{}, n.notFound(pattern)
	}
	return n.split(KindPattern, found), nil
}

func (n names) split(kind Kind, indices []string) Resolution {
	r := Resolution{Kind: kind}
	for _, name := range indices {
		if n.indices[name].closed {
			r.Closed = append(r.Closed, name)
		} else {
			r.Indices = append(r.Indices, name)
		}
	}
	return r
}

// notFound is the error for a name that does not exist. It suggests names with a similar spelling.
func (n names) notFound(part string) error {
	p := &problem.Problem{
		What: fmt.Sprintf("No index, alias or data stream is called %q",
			part), Next: "Check the spelling.", Err: ErrNotFound,
		Why: fmt.Sprintf("The cluster has no such name among the %d that these credentials can see.",
			len(n.indices)+len(n.aliases)+len(n.streams)),
	}
	var all []string
	for _, name := range slices.Concat(slices.Collect(maps.Keys(n.indices)), slices.Collect(maps.Keys(n.aliases)),
		slices.Collect(maps.Keys(n.streams))) {
		if !n.indices[name].isSystem(name) {
			all = append(all, name)
		}
	}
	if near := text.Nearest(strings.Trim(part, "*"), all); len(near) > 0 {
		p.Why = fmt.Sprintf("The nearest names are: %s.", strings.Join(near, ", "))
		p.Next = "Did you mean one of these? Check the spelling."
	}
	return p
}

// IndicesLike returns the names of the cluster's indices for which match returns true, sorted. It shares Resolve's
// request.
func (c *Cluster) IndicesLike(ctx context.Context, match func(name string) bool) ([]string, error) {
	all, err := c.names.get(ctx, c.clk, c.readNames)
	if err != nil {
		return nil, err
	}
	var out []string
	for name := range all.indices {
		if match(name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (c *Cluster) readNames(ctx context.Context) (names, error) {
	var answer struct {
		Indices []struct {
			Name       string   `json:"name"`
			Attributes []string `json:"attributes"`
			DataStream string   `json:"data_stream"`
		} `json:"indices"`
		Aliases []struct {
			Name    string `json:"name"`
			Indices many   `json:"indices"`
		} `json:"aliases"`
		DataStreams []struct {
			Name           string `json:"name"`
			BackingIndices many   `json:"backing_indices"`
		} `json:"data_streams"`
	}
	err := c.get(ctx, "List the indices of the cluster",
		esapi.IndicesResolveIndexRequest{Name: []string{"*"}, ExpandWildcards: "all"}, &answer)
	if err != nil {
		return names{}, err
	}
	all := names{indices: map[string]indexName{}, aliases: map[string][]string{}, streams: map[string][]string{}}
	for _, i := range answer.Indices {
		all.indices[i.Name] = indexName{
			closed: slices.Contains(i.Attributes, "closed"), hidden: slices.Contains(i.Attributes, "hidden"),
			system: slices.Contains(i.Attributes, "system"), backing: i.DataStream != "",
		}
	}
	for _, a := range answer.Aliases {
		all.aliases[a.Name] = a.Indices
	}
	for _, s := range answer.DataStreams {
		all.streams[s.Name] = s.BackingIndices
	}
	return all, nil
}

// Forget discards cached names, UUIDs, settings and sizes. Call it after a change.
func (c *Cluster) Forget() {
	c.names.forget()
	c.uuids.forget()
	c.sizes.forget()
	c.detail.forget()
}
