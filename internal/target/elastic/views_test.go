package elastic_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
)

// TestViewServesManyAtOnce is for the race detector, because each answer can change the identifier of a view.
func TestViewServesManyAtOnce(t *testing.T) {
	t.Parallel()
	s := elastictest.Shared(t)
	index := s.Name(t, "view")
	s.Do(t, http.MethodPut, "/"+index, `{"settings":{"number_of_replicas":0}}`, nil)
	s.Do(t, http.MethodPost, "/"+index+"/_doc?refresh=true", `{"n":1}`, nil)
	view, err := connect(s.Config).OpenView(t.Context(), index, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close(t.Context())
	const readers = 8
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			if n, err := view.Count(t.Context()); err != nil || n != 1 {
				t.Errorf("%d documents, %v", n, err)
			}
		})
	}
	group.Wait()
}
