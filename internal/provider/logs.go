package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/check"
)

// logsVariable names the environment variable for logs.base_url. The runner publishes the folder, so it knows the
// address.
const logsVariable = "REMEDIATION_LOGS_BASE_URL"

type logsBlock struct {
	BaseURL types.String `tfsdk:"base_url"`
}

func logsSchema() schema.Block {
	return schema.SingleNestedBlock{
		MarkdownDescription: "Where people read the logs of executions, if this machine's files are not what they see.",
		Attributes: map[string]schema.Attribute{
			"base_url": optionalString("Address under which the runner publishes the journal's folder, such as " +
				"`https://ci.example.com/remediation`. `logs_url` is then the address of a log below it, such as " +
				"`https://ci.example.com/remediation/executions/12/execution.log`. Without it, `logs_url` is the " +
				"path of the file. Environment: `REMEDIATION_LOGS_BASE_URL`."),
		},
	}
}

// logsBaseURL returns the address under which the journal's folder is published, or an empty string. The provider never
// opens it.
func (b block) logsBaseURL() (string, error) {
	var configured types.String
	if b.Logs != nil {
		configured = b.Logs.BaseURL
	}
	address := first(configured, logsVariable, "")
	if address == "" {
		return "", nil
	}
	if why := check.WebBase(address); why != "" {
		return "", problemAt("logs.base_url", "Invalid web address", "The value can't be used: "+why+".",
			"Write it like https://ci.example.com/remediation.")
	}
	return address, nil
}
