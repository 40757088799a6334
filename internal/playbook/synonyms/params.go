package synonyms

import (
	"fmt"
	"strconv"

	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/playbook"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
)

const (
	// MostProbes bounds probe_texts: each costs a few requests.
	MostProbes = 20
	// MostSlices is Elasticsearch's limit for the slices of a reindex.
	MostSlices = 1024
)

// params are the playbook's inputs.
type params struct {
	// IndexName is an index, an alias, a pattern or a data stream.
	IndexName string `json:"index_name"`
	// SynonymFilter is the name of the synonym filter in the settings of the index.
	SynonymFilter string `json:"synonym_filter"`
	// Reindex copies the documents into a new index.
	Reindex bool `json:"reindex"`
	// Slices is how many parts of the copy run in parallel. Zero: Elasticsearch decides.
	Slices int `json:"slices"`
	// RequestsPerSecond limits the rate of the copy, in documents per second. Zero: no limit.
	RequestsPerSecond float64 `json:"requests_per_second"`
	// ProbeTexts are analyzed before and after the refresh.
	ProbeTexts []string `json:"probe_texts,omitempty"`
	// KeepOldIndex keeps the old index of a reindex. Nil: kept.
	KeepOldIndex *bool `json:"keep_old_index"`
	// AllowAll allows an IndexName that matches every index of the cluster.
	AllowAll bool `json:"allow_all"`
	// RestoreIndex undoes a reindex: the alias IndexName is pointed back to this index. Only this playbook sets it, in
	// Report.Undo.
	RestoreIndex string `json:"restore_index"`
}

func (p params) keepOld() bool { return p.KeepOldIndex == nil || *p.KeepOldIndex }

func (p params) validate() (params, error) {
	if err := elastic.CheckExpression(p.IndexName, p.AllowAll); err != nil {
		return params{}, problem.At(err, "index_name")
	}
	if p.RestoreIndex != "" {
		return p, problem.At(elastic.CheckExpression(p.RestoreIndex, false), "restore_index")
	}
	onlyReindex := func(name string) error {
		return playbook.Invalid("Leave it out, or set reindex = true.",
			"It only applies to a reindex, and reindex is not set.", name)
	}
	switch {
	case check.Label(p.SynonymFilter) != "":
		return params{}, playbook.Invalid("Name the synonym filter, as in the settings of the index.",
			"It "+check.Label(p.SynonymFilter)+".", "synonym_filter")
	case p.Slices < 0 || p.Slices > MostSlices:
		return params{}, playbook.Invalid(fmt.Sprintf("Must be between 1 and %d; leave it out to let Elasticsearch "+
			"choose.",
			MostSlices), fmt.Sprintf("It is %d.", p.Slices), "slices")
	case p.RequestsPerSecond < 0:
		return params{}, playbook.Invalid("Write a number of documents per second; leave it out for no limit.",
			fmt.Sprintf("It is %g.", p.RequestsPerSecond), "requests_per_second")
	case len(p.ProbeTexts) > MostProbes:
		return params{}, playbook.Invalid(fmt.Sprintf("The maximum is %d texts.", MostProbes),
			fmt.Sprintf("There are %d.", len(p.ProbeTexts)), "probe_texts")
	case !p.Reindex && p.Slices != 0:
		return params{}, onlyReindex("slices")
	case !p.Reindex && p.RequestsPerSecond != 0:
		return params{}, onlyReindex("requests_per_second")
	case !p.Reindex && p.KeepOldIndex != nil:
		return params{}, onlyReindex("keep_old_index")
	case p.keepOld():
		p.KeepOldIndex = nil
	}
	for i, t := range p.ProbeTexts {
		if why := check.OneLine(t); why != "" {
			return params{}, playbook.Invalid("Write words that the synonyms are about.",
				fmt.Sprintf("Text %d %s.", i+1, why), "probe_texts", strconv.Itoa(i))
		}
	}
	return p, nil
}
