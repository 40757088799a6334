package tfkit

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// TestReviewedWithAnUnknownMember checks that apply compares with what was shown even if a member of the preview is
// unknown, for example because the approvals are.
func TestReviewedWithAnUnknownMember(t *testing.T) {
	t.Parallel()
	preview := tftypes.Object{AttributeTypes: map[string]tftypes.Type{
		"digest": tftypes.String, "target": tftypes.String, "command": tftypes.String, "record": tftypes.Number,
		"approval_granted": tftypes.Bool,
	}}
	typ := tftypes.Object{AttributeTypes: map[string]tftypes.Type{attrPreview: preview}}
	shown := func(digest any) document {
		return document{typ: typ, values: map[string]tftypes.Value{
			attrPreview: tftypes.NewValue(preview, map[string]tftypes.Value{
				"digest": tftypes.NewValue(tftypes.String, digest), "target": tftypes.NewValue(tftypes.String, "file:a"),
				"command":          tftypes.NewValue(tftypes.String, "one\ntwo"),
				"record":           tftypes.NewValue(tftypes.Number, 7),
				"approval_granted": tftypes.NewValue(tftypes.Bool, tftypes.UnknownValue),
			}),
		}}
	}
	was, err := (&Resource{}).reviewed(shown("sha256:1"))
	if err != nil || was == nil || was.Digest != "sha256:1" || was.Record != 7 || len(was.Commands) != 2 {
		t.Errorf("got %+v, %v", was, err)
	}
	for _, digest := range []any{tftypes.UnknownValue, nil} {
		if was, err := (&Resource{}).reviewed(shown(digest)); err != nil || was != nil {
			t.Errorf("digest %v: got %+v, %v", digest, was, err)
		}
	}
	none := document{typ: typ, values: map[string]tftypes.Value{attrPreview: tftypes.NewValue(preview, nil)}}
	if was, err := (&Resource{}).reviewed(none); err != nil || was != nil {
		t.Errorf("no preview: got %+v, %v", was, err)
	}
}
