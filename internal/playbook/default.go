package playbook

import (
	"encoding/json"
	"fmt"
)

// Default returns the sentence with which the documentation states an input's default, such as "Default: `5`." It is
// empty if the input has none.
func (d Definition[P]) Default(input string) string {
	var all map[string]any
	text, err := json.Marshal(d.Defaults)
	if err != nil || json.Unmarshal(text, &all) != nil || all[input] == nil {
		return ""
	}
	return fmt.Sprintf("Default: `%v`.", all[input])
}
