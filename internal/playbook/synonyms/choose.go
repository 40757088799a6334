package synonyms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Errors when no way works, besides those of package elastic.
var (
	// ErrNoWay: no way works for these indices.
	ErrNoWay = errors.New("the synonyms can't be refreshed this way")
)

// choice is the way that an action would take, the indices, and what the preview says about them.
type choice struct {
	way    Way
	reason string
	// analyzed lists the fields that reason is about.
	analyzed string
	found    elastic.Resolution
	indices  []elastic.Index
	synonyms []elastic.Synonyms
	// rules are those of a synonyms set.
	rules []string
	// serverless reports that the cluster is a serverless one.
	serverless bool
	// notes require action by the reader, figures are routine.
	notes, figures []string
	// keepTokens says what happens to existing documents without a reindex; estimateOrigin says where the estimate
	// comes from.
	keepTokens, estimateOrigin string
}

// first returns the first index and its filter, which stand for all: alike has checked that they do not differ.
func (c choice) first() (elastic.Index, elastic.Synonyms) { return c.indices[0], c.synonyms[0] }

// wanted returns the analyzers that load new synonyms.
func (c choice) wanted() elastic.Reloaded {
	out := elastic.Reloaded{}
	for i, s := range c.synonyms {
		out[c.indices[i].Name] = s.Names()
	}
	return out
}

// choose returns a reindex if the inputs ask for one, otherwise the least disruptive way that loads the synonyms. If no
// way works, the error is a *problem.Problem with the path of the input to change.
func (a action) choose(ctx context.Context) (choice, error) {
	found, err := a.elastic.Resolve(ctx, a.params.IndexName, a.params.AllowAll)
	if err != nil {
		return choice{found: found}, problem.At(err, "index_name")
	}
	c := choice{found: found}
	if len(found.Closed) > 0 {
		c.figures = append(c.figures, "Closed, so not refreshed: "+strings.Join(found.Closed, ", "))
	}
	if c.indices, err = a.elastic.Describe(ctx, found.Indices); err != nil {
		return choice{}, problem.At(err, "index_name")
	}
	for _, i := range c.indices {
		s, err := i.Synonyms(a.params.SynonymFilter)
		if err != nil {
			return choice{}, problem.At(err, "synonym_filter")
		}
		c.synonyms = append(c.synonyms, s)
	}
	if err := a.alike(c); err != nil {
		return choice{}, err
	}
	if c.serverless, err = a.elastic.Serverless(ctx); err != nil {
		return choice{}, err
	}
	if err := a.pick(ctx, &c); err != nil {
		return choice{}, err
	}
	if err := c.offered(); err != nil {
		return choice{}, err
	}
	if err := a.keepTokens(ctx, &c); err != nil {
		return choice{}, err
	}
	err = a.loadable(ctx, &c)
	return c, err
}

// offered refuses a way whose APIs the cluster does not have.
func (c choice) offered() error {
	if !c.serverless || c.way == WayReload {
		return nil
	}
	lacks, path := "to close and open an index", "synonym_filter"
	if c.way == WayReindex {
		lacks, path = "to cancel a copy", "reindex"
	}
	return &problem.Problem{
		What: "Serverless Elasticsearch can't refresh these synonyms",
		Why:  fmt.Sprintf("It has no API %s, which is needed because %s.", lacks, c.reason),
		Next: "Use an updateable filter in a search analyzer, with a synonyms set, and reindex = false.",
		Path: []string{path}, Err: ErrNoWay,
	}
}

// alike checks that the indices have the same filter, and therefore the same way is right for all.
func (a action) alike(c choice) error {
	_, first := c.first()
	for i, s := range c.synonyms {
		if s.Source() != first.Source() || s.Updateable != first.Updateable ||
			(len(s.AtIndexTime()) > 0) != (len(first.AtIndexTime()) > 0) {
			return &problem.Problem{
				What: fmt.Sprintf("The filter %q is not the same in all indices that %q refers to",
					a.params.SynonymFilter, a.params.IndexName),
				Why: fmt.Sprintf("%s and %s differ in where its synonyms are kept, whether it is updateable, or "+
					"whether documents were analyzed with it.", c.indices[0].Name, c.indices[i].Name),
				Next: "Refresh them one by one, each with its own resource.",
				Path: []string{"index_name"}, Err: ErrNoWay,
			}
		}
	}
	return nil
}

// pick chooses the way, and refuses indices for which it does not work.
func (a action) pick(ctx context.Context, c *choice) error {
	_, s := c.first()
	switch {
	case a.params.Reindex:
		c.way, c.reason = WayReindex, "reindex = true"
		if fields := s.AtIndexTime(); len(fields) > 0 {
			// New documents can add fields, so they are not part of the reason, which has to hold until apply.
			c.reason = "documents were analyzed with the filter when they were indexed"
			c.analyzed = " (fields " + strings.Join(fields, ", ") + ")"
		}
		if err := c.offered(); err != nil {
			return err
		}
		return a.canReindex(ctx, c)
	case !s.Updateable:
		c.way, c.reason = WayCloseOpen, "the filter is not updateable, so its synonyms are loaded only when an index "+
			"is opened"
	default:
		c.way, c.reason = WayReload, "the filter is updateable and used for queries only"
		if err := a.askServer(ctx, c); err != nil {
			return err
		}
	}
	if c.way == WayCloseOpen && c.found.Kind == elastic.KindDataStream {
		return &problem.Problem{
			What: fmt.Sprintf("The synonyms of the data stream %q can't be refreshed", a.params.IndexName),
			Why: fmt.Sprintf("%s, and the index that a data stream writes to (%s) can't be closed.", c.reason,
				c.found.WriteIndex),
			Next: "Set updateable = true on the filter in the index template, and roll the data stream " +
				"over.", Path: []string{"index_name"}, Err: ErrNoWay,
		}
	}
	return nil
}

// askServer asks the server which analyzers a reload would reach. If these are not all, the way becomes WayCloseOpen.
func (a action) askServer(ctx context.Context, c *choice) error {
	_, s := c.first()
	reached, err := a.elastic.PreviewReload(ctx, c.found.Indices, s.Set)
	if err != nil && strings.Contains(err.Error(), "unrecognized parameter: [preview]") {
		c.notes = append(c.notes, "This Elasticsearch can't preview a reload: the analyzers are those that use the "+
			"filter by the settings of the index")
		return nil
	}
	if err != nil {
		return err
	}
	if lacks := reached.Lacks(c.wanted()); len(lacks) > 0 {
		c.way = WayCloseOpen
		c.reason = "a reload would not reach the analyzer " + strings.Join(lacks, ", ")
		for _, an := range s.Analyzers {
			if an.Wrapped {
				c.reason += ", where the filter is inside another one"
				break
			}
		}
	}
	return nil
}

// probeText is analyzed if there is no other text, to check whether the synonyms can be loaded at all.
const probeText = "probe"

// loadable checks that temporary copies of the analyzers can load the synonyms: rules that can't be loaded would keep a
// closed index from opening again.
func (a action) loadable(ctx context.Context, c *choice) error {
	index, s := c.first()
	if s.Set != "" {
		rules, err := a.elastic.SynonymsSet(ctx, s.Set)
		if err != nil {
			return problem.At(err, "synonym_filter")
		}
		c.rules = rules
		if len(rules) == 0 {
			c.notes = append(c.notes, fmt.Sprintf("The synonyms set %q is empty: queries will find no synonyms", s.Set))
		} else {
			c.figures = append(c.figures, fmt.Sprintf("The synonyms set %q has %s: %s", s.Set,
				text.Count(int64(len(rules)), "rule"), shorten(rules)))
		}
	}
	for _, an := range s.Analyzers {
		if an.Wrapped {
			continue
		}
		_, err := a.elastic.FreshTokens(ctx, index, elastic.Probe{Analyzer: an.Name, Filter: a.params.SynonymFilter,
			Text: probeText})
		if errors.Is(err, elastic.ErrRequest) {
			p := *problem.Of(err, "")
			p.What = fmt.Sprintf("The synonyms of the filter %q can't be loaded", a.params.SynonymFilter)
			p.Next = fmt.Sprintf("Correct the %s, then plan again. A file has to be on every data node.", s.Source())
			p.Path = []string{"synonym_filter"}
			return &p
		}
		if err != nil {
			return err
		}
		if s.Lenient {
			if err := a.dropped(ctx, c, an.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropped adds a note if the lenient filter drops a rule. Loaded strictly, such a rule is an error.
func (a action) dropped(ctx context.Context, c *choice, analyzer string) error {
	index, s := c.first()
	_, err := a.elastic.FreshTokens(ctx, index, elastic.Probe{Analyzer: analyzer, Filter: a.params.SynonymFilter,
		Text: probeText, Strict: true})
	if !errors.Is(err, elastic.ErrRequest) {
		return err
	}
	c.notes = append(c.notes, fmt.Sprintf("The filter is lenient, and drops at least one rule of the %s without an "+
		"error: %s", s.Source(), problem.Of(err, "").Why))
	return nil
}

const shownRules = 10

// shorten formats rules for people: the first ones, and how many more there are.
func shorten(rules []string) string {
	shown := strings.Join(rules[:min(len(rules), shownRules)], "; ")
	if more := len(rules) - shownRules; more > 0 {
		shown += fmt.Sprintf("; and %d more", more)
	}
	return shown
}

// canReindex refuses indices that can't be copied, or for which a copy would be wrong.
func (a action) canReindex(ctx context.Context, c *choice) error {
	refuse := func(path, what, why, next string) error {
		return &problem.Problem{What: what, Why: why, Next: next, Path: []string{path}, Err: ErrNoWay}
	}
	index, _ := c.first()
	switch {
	case c.found.Kind == elastic.KindDataStream || strings.HasPrefix(index.Name, "."):
		return refuse("reindex", fmt.Sprintf("The data stream %q can't be reindexed in place", a.params.IndexName),
			"Its indices belong to it.",
			"Set updateable = true on the filter in the index template, and roll the data stream over.")
	case len(c.indices)+len(c.found.Closed) != 1:
		return refuse("index_name", fmt.Sprintf("%q refers to %d indices, and one is needed", a.params.IndexName,
			len(c.indices)+len(c.found.Closed)),
			"They are "+strings.Join(slices.Concat(c.found.Indices, c.found.Closed),
				", ")+".", "Reindex them one by one, with a resource each.")
	case c.found.Kind == elastic.KindPattern:
		return refuse("index_name", fmt.Sprintf("%q is a pattern, and the name that clients use is needed",
			a.params.IndexName), "Clients reach the new index under that name.",
			"Write the alias, or the name of the index.")
	case !index.SourceKept():
		return refuse("reindex", index.Name+" can't be reindexed",
			"Its mapping disables _source or excludes parts of it, so whole documents can't be read back.",
			"Index the documents again from where they came from.")
	case index.Setting("blocks.read_only_allow_delete") == "true":
		return refuse("index_name", index.Name+" is read-only: a disk is too full",
			"Elasticsearch set index.blocks.read_only_allow_delete at the flood stage watermark.",
			"Make room on the disks first.")
	case index.Setting("blocks.write") == "true" || index.Setting("blocks.read_only") == "true":
		return refuse("index_name", index.Name+" is blocked for writing",
			"No client can write to it now. The new index would not have the block, so clients could write "+
				"again.", "Lift the block first.")
	case index.Setting("mode") == "time_series":
		return refuse("reindex", index.Name+" can't be reindexed",
			"It is a time series index, whose document IDs Elasticsearch generates itself.", "Roll over to a new "+
				"index instead.")
	}
	return a.checkCluster(ctx, c, index)
}
