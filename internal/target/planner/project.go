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

// Projecting is a Planner that can compute the split after a move without making the move.
type Projecting interface {
	// Project returns the split after the move, starting from the split now. It does no I/O. An error means that the
	// split can't be computed.
	Project(now Split, e Effect) (Split, error)
}

// Project returns the split of p after a move, without its revision, its requests, and its instance. It reports false
// if the split can't be computed.
func Project(p Planner, now Split, e Effect) (Split, bool) {
	projecting, ok := p.(Projecting)
	if !ok {
		return Split{}, false
	}
	after, err := projecting.Project(now, e)
	after.Revision, after.Requests, after.Instance = "", nil, ""
	return after, err == nil
}
