package engine

import "context"

// Announced reports whether the plan that the parent process applies, or makes, shows this review of an undo. The
// review is empty if the undo can't be planned. applies reports that this process has already changed a resource.
//
// Terraform plans destroys before an apply, except that of an object which create_before_destroy has replaced: this
// one is planned inside the apply, where nobody sees the plan.
func (e *Engine) Announced(ctx context.Context, undo Review, applies bool) bool {
	t := e.cfg.Terraform
	switch {
	case t.Command == "test": // it plans and applies in one process
		return true
	case t.PlanFile != "":
		saved, err := e.savedPlan()
		return err == nil && saved.Destroys(undo.Digest)
	case !applies:
		return true
	}
	store, err := e.Journal(ctx)
	if err != nil {
		return false
	}
	rec, err := store.Get(ctx, undo.Record)
	return err == nil && t.Session != "" && rec.Intent.Session == t.Session && rec.Holder != e.cfg.Self
}
