package dbtrun

import (
	"fmt"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

// shownNames is how many names of downstream models and exposures a preview lists; beyond it there is only a count.
const shownNames = 20

// Facts are what must still be true at apply. The attributes of preview have only some of them: the text has the
// counts, and "affected" has the exposures.
type Facts struct {
	// DBTVersion is the version that listed the models.
	DBTVersion string `json:"dbt_version"`
	// SelectedModels are what will run, by name.
	SelectedModels []string `json:"selected_models"`
	// DownstreamModels are models that read the selected ones, directly or indirectly: at most shownNames of them.
	// DownstreamModelCount has the number of all.
	DownstreamModels     []string `json:"downstream_models"`
	DownstreamModelCount int      `json:"downstream_model_count"`
	// Exposures are dashboards and the like that read any of these: the first shownNames of ExposureCount.
	Exposures     []string `json:"exposures"`
	ExposureCount int      `json:"exposure_count"`
	// RetriedExecution is the execution that is retried, and Retry says which of its models run again. Nil: none.
	RetriedExecution *int64 `json:"retried_execution,omitempty"`
	Retry            *Retry `json:"retry,omitempty"`
}

func factsOf(l dbt.Listing) Facts {
	f := Facts{
		DBTVersion: l.DBTVersion, SelectedModels: make([]string, len(l.Models)),
		DownstreamModelCount: len(l.DownstreamModels), ExposureCount: len(l.Exposures),
		DownstreamModels: first(l.DownstreamModels),
		Exposures:        first(l.Exposures),
	}
	for i, m := range l.Models {
		f.SelectedModels[i] = m.Name
	}
	return f
}

// first returns the names to show, never nil: a fact that is an empty list must stay one.
func first(names []string) []string {
	return append([]string{}, names[:min(len(names), shownNames)]...)
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
