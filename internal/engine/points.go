package engine

// Point is a named place in the order of an execution. A process can die at each of them; what holds there is what the
// next apply finds.
type Point string

// Points of the order, first to last.
const (
	// PointIntent: the intent is in the journal; nothing was sent and nothing is in state.
	PointIntent Point = "intent"
	// PointDispatch: the next thing is to send the work.
	PointDispatch Point = "dispatch"
	// PointDispatched: the work was sent, or refused; its name is not in the journal.
	PointDispatched Point = "dispatched"
	// PointRemoteID: the work's name is in the journal; nobody waits for it yet.
	PointRemoteID Point = "remote_id"
	// PointProgress: the work has journaled a step, or what guardrails said of one.
	PointProgress Point = "progress"
	// PointWaited: the work is over; its outcome is not in the journal.
	PointWaited Point = "waited"
	// PointOutcome: the outcome is in the journal; the state does not have it.
	PointOutcome Point = "outcome"
	// PointAdopt: an execution of a process that died was found; the next thing is to look for its work.
	PointAdopt Point = "adopt"
	// PointAdopted: its work was found, or is known not to be; neither was acted on.
	PointAdopted Point = "adopted"
)

// Points lists the points, in the order in which an execution passes them; adoption comes last.
func Points() []Point {
	return []Point{
		PointIntent, PointDispatch, PointDispatched, PointRemoteID, PointProgress, PointWaited, PointOutcome, PointAdopt, PointAdopted,
	}
}

// reached tells that the execution is at a point.
func (e *Engine) reached(p Point) {
	if e.cfg.Reached != nil {
		e.cfg.Reached(p)
	}
}
