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

// CopyRequest requests a copy of all documents from one index to another.
type CopyRequest struct {
	From, To string
	// Slices is the number of parallel slices. Zero lets Elasticsearch choose.
	Slices int
	// PerSecond throttles the copy, in documents per second. Zero means no limit.
	PerSecond float64
	// Window is From's Index.Window.
	Window int
}

// copyBatch is how many documents Elasticsearch copies at a time by default.
const copyBatch = 1_000

// body returns the JSON of the request. It bypasses the new index's default pipeline and preserves the documents'
// versions. A batch is no larger than the window.
func (r CopyRequest) body() []byte {
	size := ""
	if r.Window < copyBatch {
		size = fmt.Sprintf(`,"size":%d`, r.Window)
	}
	return []byte(fmt.Sprintf(
		`{"source":{"index":%q%s},"dest":{"index":%q,"version_type":"external","pipeline":"_none"}}`, r.From, size,
		r.To))
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

// Command is the request as a user would type it.
func (r CopyRequest) Command() string { return "POST " + r.path() + " " + string(r.body()) }

const copyAction = "indices:data/write/reindex"

// StartCopy starts the copy as a task on the server, and returns the task's name.
func (c *Cluster) StartCopy(ctx context.Context, r CopyRequest) (string, error) {
	var answer struct {
		Task string `json:"task"`
	}
	err := c.once(ctx, fmt.Sprintf("Start the copy of %s to %s", r.From, r.To), elasticsearch.Plain{
		Method: http.MethodPost, Path: r.path(), Body: r.body(),
	}, &answer)
	return answer.Task, err
}

// Progress is the progress of a copy, in documents.
type Progress struct {
	Total, Done int64
	// Completed reports that the task has ended. Failure is why it failed, or empty.
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

// Copy returns the progress of a task, without its running slices. It returns ErrNotFound for a task that the cluster
// does not know. The result of such a task can't be determined.
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

// WithParts adds the progress of the task's running slices to p. Each slice is a separate task, and the parent task
// counts only those that have ended.
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

// CancelCopy asks a task to stop and waits until it has. A task that does not exist is not an error.
func (c *Cluster) CancelCopy(ctx context.Context, task string) error {
	err := c.get(ctx, "Cancel the copy (task "+task+")",
		esapi.TasksCancelRequest{TaskID: task, WaitForCompletion: yes()}, nil)
	if IsMissing(err) {
		return nil
	}
	return err
}

// task is an entry in the cluster's task list.
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

// Kinds of requests that InFlight finds.
const (
	Writes = "indices:data/write/"
	Reads  = "indices:data/read/"
)

// byQuery reports whether an action is a reindex, or an update or delete by query. These resolve index names once and
// then may run for hours, so InFlight leaves them out.
func byQuery(action string) bool {
	return action == copyAction || strings.HasSuffix(action, "/byquery")
}

// InFlight contains the task names of running requests.
type InFlight struct {
	// On contains the requests that work on a shard of the index.
	On []string
	// Undecided contains the requests that the task list does not connect with any index: requests that have not yet
	// resolved their index name, and all single updates, whose tasks name no index.
	Undecided []string
}

// InFlight returns the requests of a kind that work or may work on the index.
func (c *Cluster) InFlight(ctx context.Context, kind, index string) (InFlight, error) {
	tasks, err := c.listTasks(ctx, esapi.TasksListRequest{Actions: []string{kind + "*"}, Detailed: yes()})
	if err != nil {
		return InFlight{}, err
	}
	// A request has a task on a shard only after it has resolved its indices. So the parents of such a task are
	// decided: they are on the index, or on another one.
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

// onShard reports whether an action is a request's work on one shard, or one phase of it, such as
// indices:data/write/bulk[s].
func onShard(action string) bool { return strings.Contains(action, "[") }
