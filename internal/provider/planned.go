package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/applylens/terraform-provider-remediation/internal/approval"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// Binding returns what the digest of a planned execution covers. typeName is the resource's type, such as
// "remediation_dbt_run". It returns tfkit.ErrUnknown if an input that the digest covers is unknown.
func Binding(ctx context.Context, typeName string, p tfkit.Planned) (approval.Binding, error) {
	for _, constructor := range (&remediation{}).Resources(ctx) {
		one, ok := constructor().(*tfkit.Resource)
		if !ok {
			continue
		}
		var metadata resource.MetadataResponse
		one.Metadata(ctx, resource.MetadataRequest{ProviderTypeName: "remediation"}, &metadata)
		if metadata.TypeName == typeName {
			return one.Binding(ctx, p)
		}
	}
	return approval.Binding{}, fmt.Errorf("this version of the provider has no playbook resource %s", typeName)
}
