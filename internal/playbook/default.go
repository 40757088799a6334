package playbook

import (
	"encoding/json"
	"fmt"
)

// Default is the sentence of the documentation that states the default of an input, such as "Default: `5`." It is empty
// where the input has none.
func (d Definition[P]) Default(input string) string {
	var all map[string]any
	text, err := json.Marshal(d.Defaults)
	if err != nil || json.Unmarshal(text, &all) != nil || all[input] == nil {
		return ""
	}
	return fmt.Sprintf("Default: `%v`.", all[input])
}
