package incidents

import (
	"context"
	"encoding/json"
	"net/url"
)

// Action is an action that the service offers for an incident.
type Action struct {
	ActionType  string `json:"action_type"`
	DisplayName string `json:"display_name"`
	Description string `json:"description"`
	// Params are suggested inputs, as JSON.
	Params           json.RawMessage `json:"params"`
	RequiresApproval bool            `json:"requires_approval"`
}

// Past is an action that the service ran, or a dry run of one.
type Past struct {
	ID         json.RawMessage `json:"id"`
	ActionType string          `json:"action_type"`
	Params     json.RawMessage `json:"params"`
	DryRun     bool            `json:"dry_run"`
	Status     string          `json:"status"`
	ApprovedBy string          `json:"approved_by"`
	CreatedAt  string          `json:"created_at"`
	Result     json.RawMessage `json:"result"`
}

// Number is the identifier of the action, as text.
func (p Past) Number() string { return plain(p.ID) }

// Actions lists the actions that the service offers for an incident.
func (c *Client) Actions(ctx context.Context, id string) ([]Action, error) {
	return list[Action](ctx, c, id, "actions")
}

// History lists what the service itself did about an incident. The service was observed to fail here sometimes.
func (c *Client) History(ctx context.Context, id string) ([]Past, error) {
	return list[Past](ctx, c, id, "actions/history")
}

// list reads a list, alone or as the member "actions", "history", or "items" of an object.
func list[T any](ctx context.Context, c *Client, id, what string) ([]T, error) {
	body, err := c.get(ctx, id, "/playbooks/incidents/"+url.PathEscape(id)+"/"+what)
	if err != nil {
		return nil, err
	}
	var found []T
	if json.Unmarshal(body, &found) == nil {
		return found, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return nil, c.malformed(body)
	}
	for _, name := range []string{"actions", "history", "items"} {
		if in, ok := object[name]; ok && json.Unmarshal(in, &found) == nil {
			return found, nil
		}
	}
	return nil, c.malformed(body)
}
