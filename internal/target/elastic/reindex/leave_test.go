package reindex_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// TestAnotherProcessContinues lets another process take the reindex over at each stage. The process that lost it
// changes nothing more, and the other one completes it. The other process would miss anything that the first one
// cleaned up.
func TestAnotherProcessContinues(t *testing.T) {
	t.Parallel()
	for _, stage := range []reindex.Stage{reindex.StageCopy, reindex.StageCatchUp, reindex.StageSwitch,
		reindex.StageFinish} {
		for _, byContext := range []bool{false, true} {
			name := string(stage) + ", told by the journal"
			if byContext {
				name = string(stage) + ", told by the context"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, "leave", 2_000)
				before := f.all(t, f.alias)
				ctx, end := context.WithCancelCause(t.Context())
				rec := &recorder{}
				told := false
				save := func(ctx context.Context, s reindex.State) error {
					if err := rec.save(ctx, s); err != nil || s.Stage != stage {
						return err
					}
					told = true
					if byContext {
						end(reindex.ErrLeave)
						return nil
					}
					return reindex.ErrLeave
				}
				req := f.request(f.alias)
				_, err := copier(f.Config).Start(req).Wait(ctx, save)
				switched := byContext && (stage == reindex.StageSwitch || stage == reindex.StageFinish)
				if !told || (err == nil) != switched || err != nil && !errors.Is(err, reindex.ErrLeave) {
					t.Fatalf("told %v, error %v", told, err)
				}
				if !f.exists(t, req.New) {
					t.Fatalf("%s is gone", req.New)
				}
				run, err := copier(f.Config).Adopt(t.Context(), rec.state)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := run.Wait(t.Context(), rec.save); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{req.New}, f.targets(t, f.alias)); diff != "" {
					t.Errorf("alias (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(before, f.all(t, f.alias)); diff != "" {
					t.Errorf("documents: %s", diff)
				}
			})
		}
	}
}
