package dbt

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// readYAML reads a YAML mapping as dbt does: the last of several equal keys counts.
func readYAML(data []byte) (map[string]any, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return map[string]any{}, nil
	}
	lastWins(document.Content[0], map[*yaml.Node]bool{})
	var found map[string]any
	if err := document.Content[0].Decode(&found); err != nil {
		if mistyped := new(yaml.TypeError); errors.As(err, &mistyped) {
			return nil, fmt.Errorf("it is not a mapping of keys to values: %w", err)
		}
		return nil, err
	}
	return found, nil
}

// lastWins removes all but the last of equal keys, everywhere below node. Aliases can form a cycle.
func lastWins(node *yaml.Node, seen map[*yaml.Node]bool) {
	if node == nil || seen[node] {
		return
	}
	seen[node] = true
	if node.Kind == yaml.MappingNode {
		last := map[string]int{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			last[node.Content[i].Value] = i
		}
		kept := node.Content[:0:0]
		for i := 0; i+1 < len(node.Content); i += 2 {
			if key := node.Content[i]; key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || last[key.Value] == i {
				kept = append(kept, key, node.Content[i+1])
			}
		}
		node.Content = kept
	}
	for _, child := range node.Content {
		lastWins(child, seen)
	}
	lastWins(node.Alias, seen)
}
