package engine

// Point is a named place in the order of an execution. A process can die at any point. The description of each point
// says what the next apply finds.
type Point string

// Points, in the order of an execution; adoption comes last.
const (
	// PointIntent: the intent is in the journal. Nothing was sent and nothing is in state.
	PointIntent Point = "intent"
	// PointDispatch: the work is about to be sent.
	PointDispatch Point = "dispatch"
	// PointDispatched: the work was sent or refused. Its name is not in the journal.
	PointDispatched Point = "dispatched"
	// PointRemoteID: the name of the work is in the journal. Nothing waits for the work yet.
	PointRemoteID Point = "remote_id"
	// PointProgress: the work has journaled a step, or the guardrail readings of a step.
	PointProgress Point = "progress"
	// PointWaited: the work is over. Its outcome is not in the journal.
	PointWaited Point = "waited"
	// PointOutcome: the outcome is in the journal but not in state.
	PointOutcome Point = "outcome"
	// PointAdopt: an execution of a dead process was found. Looking for its work comes next.
	PointAdopt Point = "adopt"
	// PointAdopted: the work of the dead process was found, or is known not to exist. It was not continued yet.
	PointAdopted Point = "adopted"
)

// Points lists all points in the order of an execution; adoption comes last.
func Points() []Point {
	return []Point{
		PointIntent, PointDispatch, PointDispatched, PointRemoteID, PointProgress, PointWaited, PointOutcome,
		PointAdopt,
		PointAdopted,
	}
}

// describe returns the log message for the point.
func (p Point) describe() string {
	switch p {
	case PointIntent:
		return "intent journaled"
	case PointDispatch:
		return "dispatching the work"
	case PointDispatched:
		return "work dispatched"
	case PointRemoteID:
		return "name of the work journaled"
	case PointProgress:
		return "progress journaled"
	case PointWaited:
		return "work ended"
	case PointOutcome:
		return "outcome journaled"
	case PointAdopt:
		return "adopting the execution of a dead process"
	case PointAdopted:
		return "adoption decided"
	default:
		return string(p)
	}
}
