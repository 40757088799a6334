package dbt

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// manifest is what this package reads of dbt's manifest.json (schema v12, and whatever later ones keep of it).
type manifest struct {
	Nodes    map[string]node     `json:"nodes"`
	Sources  map[string]node     `json:"sources"`
	Exposed  map[string]node     `json:"exposures"`
	ChildMap map[string][]string `json:"child_map"`
}

type node struct {
	Name         string   `json:"name"`
	ResourceType string   `json:"resource_type"`
	Path         string   `json:"original_file_path"`
	RawCode      string   `json:"raw_code"`
	FQN          []string `json:"fqn"`
	Config       struct {
		Materialized string `json:"materialized"`
		FullRefresh  *bool  `json:"full_refresh"`
	} `json:"config"`
}

func readManifest(path string) (manifest, error) {
	var m manifest
	data, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// downstream are the names of the models and exposures that depend on the given nodes, directly or not, without the
// nodes themselves.
func (m manifest) downstream(ids []string) (models, exposures []string) {
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	for queue := slices.Clone(ids); len(queue) > 0; queue = queue[1:] {
		for _, child := range m.ChildMap[queue[0]] {
			if seen[child] {
				continue
			}
			seen[child] = true
			queue = append(queue, child)
			switch kind, _, _ := strings.Cut(child, "."); kind {
			case "model":
				models = append(models, m.name(m.Nodes, child))
			case "exposure":
				exposures = append(exposures, m.name(m.Exposed, child))
			}
		}
	}
	slices.Sort(models)
	slices.Sort(exposures)
	return models, exposures
}

func (m manifest) name(of map[string]node, id string) string {
	if n := of[id].Name; n != "" {
		return n
	}
	return id[strings.LastIndexByte(id, '.')+1:]
}

// modelNames are the names of all enabled models.
func (m manifest) modelNames() []string {
	var names []string
	for _, n := range m.Nodes {
		if n.ResourceType == "model" {
			names = append(names, n.Name)
		}
	}
	return names
}

// kindOf says what else than a model carries the name: "seed", "snapshot", "source", ... or nothing.
func (m manifest) kindOf(name string) string {
	var kinds []string
	for _, n := range m.Nodes {
		if n.Name == name {
			kinds = append(kinds, n.ResourceType)
		}
	}
	for _, n := range m.Sources {
		if n.Name == name {
			kinds = append(kinds, "source")
		}
	}
	slices.Sort(kinds)
	if len(kinds) == 0 || slices.Contains(kinds, "model") {
		return ""
	}
	return kinds[0]
}
