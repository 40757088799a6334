package provider

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/applylens/terraform-provider-remediation/internal/access"
	"github.com/applylens/terraform-provider-remediation/internal/check"
	"github.com/applylens/terraform-provider-remediation/internal/engine"
	"github.com/applylens/terraform-provider-remediation/internal/notify"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit"
)

// notifyURL names the environment variable with a webhook's address.
const notifyURL = "REMEDIATION_NOTIFY_URL"

// maxWebhooks is the largest number of notify blocks.
const maxWebhooks = 10

type notifyBlock struct {
	URL    types.String `tfsdk:"url"`
	Format types.String `tfsdk:"format"`
	Events []string     `tfsdk:"events"`
}

// eventNames lists the events as the configuration names them.
func eventNames() []string {
	var names []string
	for _, e := range engine.Events() {
		names = append(names, string(e))
	}
	return names
}

func notifySchema() schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: "A webhook that receives events of apply. Each event is sent at most once per " +
			"execution, in the background: a webhook that is down neither delays nor fails an execution. Plan sends " +
			"nothing. See the guide \"Incidents\".",
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"url": schema.StringAttribute{Optional: true, Sensitive: true,
				Validators: []validator.String{tfkit.SecretLine()},
				MarkdownDescription: "Address. It is a secret, because whoever knows it can post there. Environment: " +
					"`REMEDIATION_NOTIFY_URL`."},
			"format": schema.StringAttribute{Optional: true, MarkdownDescription: "`json`, an object with `event`, " +
				"`execution`, `playbook`, `target`, `incident_id`, `status`, `message`, `digest`, `logs_url`, and `text`; or " +
				"`slack`, for Slack and services that accept its format. Default: `json`.",
				Validators: []validator.String{stringvalidator.OneOf(string(notify.JSON), string(notify.Slack))}},
			"events": schema.SetAttribute{Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Events to send: `" + strings.Join(eventNames(), "`, `") + "`. Default: all.",
				Validators: []validator.Set{setvalidator.SizeAtLeast(1),
					setvalidator.ValueStringsAre(stringvalidator.OneOf(eventNames()...))}},
		}},
	}
}

// notify returns the configured webhooks.
func (b block) notify(r runner) ([]notify.Webhook, error) {
	if len(b.Notify) > maxWebhooks {
		return nil, problemIn([]string{"notify", strconv.Itoa(maxWebhooks)}, "Too many webhooks",
			fmt.Sprintf("There are %d notify blocks.", len(b.Notify)), fmt.Sprintf("Use at most %d.", maxWebhooks))
	}
	var all []notify.Webhook
	for i, n := range b.Notify {
		at := []string{"notify", strconv.Itoa(i), "url"}
		w := notify.Webhook{URL: first(n.URL, notifyURL, ""), Format: notify.Format(n.Format.ValueString())}
		if w.URL == "" {
			return nil, problemIn(at, "The webhook has no address",
				"notify is configured without url, and REMEDIATION_NOTIFY_URL is not set.", "Set one of them.")
		}
		if why := check.WebAddress(w.URL); why != "" {
			return nil, problemIn(at, "Invalid web address", "The value is not shown, and "+why+".",
				"Write it like https://host/path.")
		}
		if err := access.Hosts(nil).Check(w.URL); err != nil {
			return nil, problemIn(at, "This address is never opened", err.Error()+".",
				"Use the webhook's own address.")
		}
		if err := r.hosts.Check(hostOf(w.URL)); err != nil {
			return nil, problemIn(at, "The runner's policy doesn't allow this address", err.Error()+".",
				fmt.Sprintf("Nothing has run. Use an address that %s lists in hosts, or add this one to the list.",
					orEmpty(r.path)))
		}
		for _, e := range n.Events {
			w.Events = append(w.Events, engine.Event(e))
		}
		all = append(all, w)
	}
	return all, nil
}

// notifySecrets returns the parts of the webhooks' addresses that are never shown.
func notifySecrets(all []notify.Webhook) []string {
	secrets := []string{os.Getenv(notifyURL)}
	for _, w := range all {
		secrets = append(secrets, notify.Secrets(w.URL)...)
	}
	return secrets
}
