package tfkit

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// minTimeout is the shortest timeout: a shorter one would end an execution before it began.
const minTimeout = time.Second

func timeoutsBlock() schema.Block {
	limit := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description,
			Validators: []validator.String{Duration(minTimeout, 0)}}
	}
	return schema.SingleNestedBlock{
		MarkdownDescription: "Deadlines. An execution that passes its deadline is stopped and recorded. A change of " +
			"them alone runs nothing.",
		Attributes: map[string]schema.Attribute{
			"create": limit("Deadline of the first execution, such as `20m`. Default: twice " +
				"`preview.estimated_duration_seconds` if earlier executions measured it, otherwise 24 hours."),
			"update": limit("Deadline of later executions, which update the resource in place. Default: as for " +
				"`create`."),
			"delete": limit("Deadline of an undo by `on_destroy = \"rollback\"`. Default: as for `create`."),
		},
	}
}

// timeout returns the configured timeout of an operation, or 0.
func (d document) timeout(operation string) (time.Duration, error) {
	if !d.known(blockTimeouts) {
		return 0, nil
	}
	var all map[string]*string
	if err := d.get(blockTimeouts, &all); err != nil || all[operation] == nil {
		return 0, err
	}
	return time.ParseDuration(*all[operation])
}
