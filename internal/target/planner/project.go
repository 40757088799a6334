package planner

// Effect is what a move does to a split: a deployment, new shares, and a decommission, or a restored state.
type Effect struct {
	// Deploy and Decommission are versions, or empty.
	Deploy, Decommission string
	// Shares are percentages by version; versions that are not named get none. Nil: they stay.
	Shares map[string]float64
	// Restore replaces all of the above. Nil: none.
	Restore State
}

// Projecting is a Planner that can tell what a move will leave.
type Projecting interface {
	// Project returns the split that the move leaves, starting from now. It does no I/O. An error means that it can't
	// be told.
	Project(now Split, e Effect) (Split, error)
}

// Project returns the split that a move leaves on p, without a revision and without what the router counts. It reports
// false if that can't be told.
func Project(p Planner, now Split, e Effect) (Split, bool) {
	projecting, ok := p.(Projecting)
	if !ok {
		return Split{}, false
	}
	after, err := projecting.Project(now, e)
	after.Revision, after.Requests, after.Instance = "", nil, ""
	return after, err == nil
}
