package dbtrun

import (
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// shownNames is the maximum number of names in a list of a preview. A longer list is cut to cutNames, and a count has
// the number of all: a plan of 20 resources must fit into a comment on a pull request (60 KB).
const (
	shownNames = 8
	cutNames   = 3
)

// Facts are what must still be true at apply. The attributes of preview have only some of them: the text has the
// counts, and "affected" has the exposures.
type Facts struct {
	// DBTVersion is the version that listed the models.
	DBTVersion string `json:"dbt_version"`
	// SelectedModels are what will run, by name, and SelectedModelCount is the number of all.
	SelectedModels     []string `json:"selected_models"`
	SelectedModelCount int      `json:"selected_model_count"`
	// Models has all names if SelectedModels is cut, so that apply compares each.
	Models []string `json:"models,omitempty"`
	// DownstreamModels are models that read the selected ones, directly or indirectly, and DownstreamModelCount is the
	// number of all.
	DownstreamModels     []string `json:"downstream_models"`
	DownstreamModelCount int      `json:"downstream_model_count"`
	// Exposures are dashboards and the like that read any of these, and ExposureCount is the number of all.
	Exposures     []string `json:"exposures"`
	ExposureCount int      `json:"exposure_count"`
	// RetriedExecution is the execution that is retried, and Retry says which of its models run again. Nil: none.
	RetriedExecution *int64 `json:"retried_execution,omitempty"`
	Retry            *Retry `json:"retry,omitempty"`
}

func factsOf(l dbt.Listing) Facts {
	f := Facts{
		DBTVersion: l.DBTVersion, SelectedModelCount: len(l.Models),
		DownstreamModelCount: len(l.DownstreamModels), ExposureCount: len(l.Exposures),
		DownstreamModels: first(l.DownstreamModels),
		Exposures:        first(l.Exposures),
	}
	names := make([]string, len(l.Models))
	for i, m := range l.Models {
		names[i] = m.Name
	}
	if f.SelectedModels = first(names); len(f.SelectedModels) < len(names) {
		f.Models = names
	}
	return f
}

// names returns the names of all models that will run.
func (f Facts) names() []string {
	if f.Models != nil {
		return f.Models
	}
	return f.SelectedModels
}

// first returns the names to show, never nil: a fact that is an empty list must stay one.
func first(names []string) []string {
	if len(names) > shownNames {
		names = names[:cutNames]
	}
	return append([]string{}, names...)
}

// radius says in a sentence what reads the models.
func (f Facts) radius() string {
	if f.DownstreamModelCount+f.ExposureCount == 0 {
		return "Nothing in the project is downstream of them"
	}
	var readers []string
	if f.DownstreamModelCount > 0 {
		readers = append(readers, listed("model", f.DownstreamModelCount, f.DownstreamModels))
	}
	if f.ExposureCount > 0 {
		readers = append(readers, listed("exposure", f.ExposureCount, f.Exposures))
	}
	return "Downstream: " + strings.Join(readers, "; ")
}

func listed(noun string, count int, names []string) string {
	if count != 1 {
		noun += "s"
	}
	text := fmt.Sprintf("%d %s (%s", count, noun, strings.Join(names, ", "))
	if more := count - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + ")"
}
