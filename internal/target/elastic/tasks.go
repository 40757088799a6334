package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// CopyRequest asks for a copy of all documents from one index to another.
type CopyRequest struct {
	From, To string
	// Slices is how many run side by side. Zero: as many as Elasticsearch finds right.
	Slices int
	// PerSecond throttles, in documents per second. Zero: no limit.
	PerSecond float64
}

// body leaves out the pipelines of the new index, and keeps the versions of the documents.
func (r CopyRequest) body() []byte {
	return []byte(fmt.Sprintf(
		`{"source":{"index":%q},"dest":{"index":%q,"version_type":"external","pipeline":"_none"}}`, r.From, r.To))
}

func (r CopyRequest) path() string {
	slices := "auto"
	if r.Slices > 0 {
		slices = strconv.Itoa(r.Slices)
	}
	path := "/_reindex?wait_for_completion=false&slices=" + slices
	if r.PerSecond > 0 {
		path += "&requests_per_second=" + strconv.FormatFloat(r.PerSecond, 'f', -1, 64)
	}
	return path
}

// Command is the request as it is sent, as a person would type it.
func (r CopyRequest) Command() string { return "POST " + r.path() + " " + string(r.body()) }

const copyAction = "indices:data/write/reindex"

// StartCopy starts the task and returns its name.
func (c *Cluster) StartCopy(ctx context.Context, r CopyRequest) (string, error) {
	var answer struct {
		Task string `json:"task"`
	}
	err := c.once(ctx, fmt.Sprintf("Start the copy of %s to %s", r.From, r.To), elasticsearch.Plain{
		Method: http.MethodPost, Path: r.path(), Body: r.body(),
	}, &answer)
	return answer.Task, err
}

// Progress is how far a copy has come, in documents.
type Progress struct {
	Total, Done int64
	// Completed tells that the task is over. Failure then says why it failed, or is empty.
	Completed bool
	Failure   string
}

type copyStatus struct {
	Total   int64 `json:"total"`
	Created int64 `json:"created"`
	Updated int64 `json:"updated"`
}

type copyTask struct {
	Completed bool `json:"completed"`
	Task      struct {
		Status copyStatus `json:"status"`
	} `json:"task"`
	Error    json.RawMessage `json:"error"`
	Response struct {
		copyStatus
		TimedOut  bool              `json:"timed_out"`
		Conflicts int64             `json:"version_conflicts"`
		Canceled  string            `json:"canceled"`
		Failures  []json.RawMessage `json:"failures"`
	} `json:"response"`
}

// shownFailures is how many failures of a copy are quoted.
const shownFailures = 3

// Copy returns how far a task has come, without the parts that are under way. A task that the cluster knows nothing of
// is ErrNotFound: how it ended can't be told then.
func (c *Cluster) Copy(ctx context.Context, task string) (Progress, error) {
	var answer copyTask
	err := c.get(ctx, "Read the progress of the copy (task "+task+")", esapi.TasksGetRequest{TaskID: task}, &answer)
	if err != nil {
		return Progress{}, err
	}
	p := Progress{Total: answer.Task.Status.Total, Done: answer.Task.Status.Created + answer.Task.Status.Updated,
		Completed: answer.Completed}
	if p.Completed {
		p.Failure = c.client.Mask(answer.failure())
	}
	return p, nil
}

// WithParts adds to p the parts of the task that are under way. They are tasks of their own, and the parent counts
// those that are over.
func (c *Cluster) WithParts(ctx context.Context, task string, p Progress) (Progress, error) {
	parts, err := c.listTasks(ctx, esapi.TasksListRequest{ParentTaskID: task, Detailed: yes()})
	if err != nil {
		return Progress{}, err
	}
	for _, s := range parts {
		var status copyStatus
		if json.Unmarshal(s.Status, &status) == nil && s.Action == copyAction {
			p.Total += status.Total
			p.Done += status.Created + status.Updated
		}
	}
	return p, nil
}

func (t copyTask) failure() string {
	var why []string
	if len(t.Error) > 0 {
		why = append(why, string(t.Error))
	}
	if t.Response.TimedOut {
		why = append(why, "it timed out")
	}
	if t.Response.Canceled != "" {
		why = append(why, "it was cancelled: "+t.Response.Canceled)
	}
	if t.Response.Conflicts > 0 {
		why = append(why, fmt.Sprintf("%d documents were in the new index already", t.Response.Conflicts))
	}
	for _, f := range t.Response.Failures[:min(len(t.Response.Failures), shownFailures)] {
		why = append(why, string(f))
	}
	return strings.Join(why, "; ")
}

// FindCopy returns the running task that copies to the index, or ErrNotFound.
func (c *Cluster) FindCopy(ctx context.Context, to string) (string, error) {
	tasks, err := c.listTasks(ctx, esapi.TasksListRequest{Actions: []string{copyAction}, Detailed: yes()})
	if err != nil {
		return "", err
	}
	for id, t := range tasks {
		if t.Parent == "" && strings.HasSuffix(t.Description, " to ["+to+"]") {
			return id, nil
		}
	}
	return "", &problem.Problem{What: "No running task copies to " + to, Why: "The cluster lists none.",
		Err: ErrNotFound}
}

// CancelCopy asks a task to stop and waits until it has. One that is gone already is no error.
func (c *Cluster) CancelCopy(ctx context.Context, task string) error {
	err := c.get(ctx, "Cancel the copy (task "+task+")",
		esapi.TasksCancelRequest{TaskID: task, WaitForCompletion: yes()}, nil)
	if IsMissing(err) {
		return nil
	}
	return err
}

// task is one that the cluster lists.
type task struct {
	Action      string          `json:"action"`
	Description string          `json:"description"`
	Started     int64           `json:"start_time_in_millis"`
	Parent      string          `json:"parent_task_id"`
	Status      json.RawMessage `json:"status"`
}

func (c *Cluster) listTasks(ctx context.Context, which esapi.TasksListRequest) (map[string]task, error) {
	var answer struct {
		Nodes map[string]struct {
			Tasks map[string]task `json:"tasks"`
		} `json:"nodes"`
	}
	err := c.get(ctx, "List the tasks of the cluster", which, &answer)
	all := map[string]task{}
	for _, n := range answer.Nodes {
		maps.Copy(all, n.Tasks)
	}
	return all, err
}

// Kinds of requests that InFlight looks for.
const (
	Writes = "indices:data/write/"
	Reads  = "indices:data/read/"
)

// byQuery reports whether an action resolves names once and then works for a long time: it is not waited for.
func byQuery(action string) bool {
	return action == copyAction || strings.HasSuffix(action, "/byquery")
}

// InFlight are requests under way, by the names of their tasks.
type InFlight struct {
	// On are those that work on a shard of the index.
	On []string
	// Undecided are those that the task list does not connect with any index: requests that have not yet found the
	// index that a name stands for, and all single updates, whose tasks name no index.
	Undecided []string
}

// InFlight returns the requests of a kind that work on the index, or may.
func (c *Cluster) InFlight(ctx context.Context, kind, index string) (InFlight, error) {
	tasks, err := c.listTasks(ctx, esapi.TasksListRequest{Actions: []string{kind + "*"}, Detailed: yes()})
	if err != nil {
		return InFlight{}, err
	}
	// The shard level of a request exists once the request has found its indices. It tells all requests above it.
	dispatched, onIndex := map[string]bool{}, map[string]bool{}
	var out InFlight
	for id, t := range tasks {
		if !onShard(t.Action) {
			continue
		}
		on := strings.Contains(t.Description, "["+index+"]")
		if on {
			out.On = append(out.On, id)
		}
		for hops, above := 0, t.Parent; above != "" && hops < len(tasks); hops, above = hops+1, tasks[above].Parent {
			dispatched[above] = true
			onIndex[above] = onIndex[above] || on
		}
	}
	for id, t := range tasks {
		switch {
		case onShard(t.Action) || byQuery(t.Action):
		case onIndex[id]:
			out.On = append(out.On, id)
		case !dispatched[id]:
			out.Undecided = append(out.Undecided, id)
		}
	}
	return out, nil
}

// onShard reports whether an action is the work of a request on one shard, or one phase of it, such as
// indices:data/write/bulk[s].
func onShard(action string) bool { return strings.Contains(action, "[") }
