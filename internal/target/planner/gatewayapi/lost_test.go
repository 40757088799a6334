package gatewayapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner"
	"github.com/applylens/terraform-provider-remediation/internal/target/planner/gatewayapi"
)

// cluster answers requests for one HTTPRoute. It exists for faults that a real cluster doesn't produce on demand.
type cluster struct {
	mu      sync.Mutex
	weights []int64
	version int
	// cut ends the connection of a patch after the patch was made, and refuse answers it with 422. unread answers reads
	// after a patch with 500.
	cut, refuse, unread bool
	patched             bool
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodPatch:
		var operations []struct {
			Path  string
			Value json.RawMessage
		}
		text, _ := io.ReadAll(r.Body)
		if json.Unmarshal(text, &operations) != nil || c.refuse {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprint(w, `{"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422}`)
			return
		}
		for _, o := range operations {
			var i int
			if _, err := fmt.Sscanf(o.Path, "/spec/rules/0/backendRefs/%d/weight", &i); err == nil {
				_ = json.Unmarshal(o.Value, &c.weights[i])
			}
		}
		c.version++
		c.patched = true
		if c.cut {
			panic(http.ErrAbortHandler)
		}
	case c.patched && c.unread:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprint(w, `{"kind": "Status", "status": "Failure", "reason": "InternalError", "code": 500}`)
		return
	}
	_, _ = fmt.Fprintf(w, `{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
		"metadata": {"name": "r", "namespace": "n", "uid": "u", "resourceVersion": "%d", "generation": 1},
		"spec": {"rules": [{"backendRefs": [{"name": "s1", "weight": %d}, {"name": "s2", "weight": %d}]}]}}`,
		c.version, c.weights[0], c.weights[1])
}

func (c *cluster) planner(t *testing.T) *gatewayapi.Planner {
	t.Helper()
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": %q}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}]}`,
		s.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return gatewayapi.New(gatewayapi.Config{Namespace: "n", Route: "r", Kubeconfig: path, Stable: "v1",
		Backends: map[string]string{"v1": "s1", "v2": "s2"}}, clock.System{})
}

// TestLostAnswerToAPatchIsUncertain: the patch itself has changed the revision, so a new one does not mean that someone
// else changed the route.
func TestLostAnswerToAPatchIsUncertain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cluster *cluster
		want    error
	}{
		"the connection ends after the patch": {&cluster{cut: true}, planner.ErrUncertain},
		"the route can't be read afterwards":  {&cluster{unread: true}, planner.ErrUncertain},
		"the patch is refused":                {&cluster{refuse: true}, planner.ErrShares},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.cluster.weights = []int64{90, 10}
			p := tt.cluster.planner(t)
			now, err := p.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Set(t.Context(), planner.Change{Revision: now.Revision,
				Shares: map[string]float64{"v1": 75, "v2": 25}})
			if !errors.Is(err, tt.want) || errors.Is(err, planner.ErrMoved) ||
				strings.Contains(err.Error(), "Someone else") {
				t.Errorf("error %v", err)
			}
			tt.cluster.mu.Lock()
			defer tt.cluster.mu.Unlock()
			if tt.cluster.patched == tt.cluster.refuse {
				t.Errorf("patched: %t", tt.cluster.patched)
			}
		})
	}
}
