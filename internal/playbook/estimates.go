package playbook

import "time"

// Estimates are the figures from which previews calculate durations and costs. The defaults come from the playbooks'
// specification; the provider's estimates block replaces them.
type Estimates struct {
	// DBTSecondsPerModel is how long one dbt model takes, in seconds.
	DBTSecondsPerModel float64
	// DBTCostPerModelUSD is what one dbt model costs, in US dollars.
	DBTCostPerModelUSD float64
}

// DefaultEstimates returns the figures of the specification.
func DefaultEstimates() Estimates {
	return Estimates{DBTSecondsPerModel: 300, DBTCostPerModelUSD: 0.05}
}

// Seconds converts a number of seconds to a duration.
func Seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
