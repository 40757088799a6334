package dbt

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// manifest contains the fields of dbt's manifest.json that this package reads (schema v12; later versions may lack
// some).
type manifest struct {
	Metadata struct {
		Project string `json:"project_name"`
	} `json:"metadata"`
	Nodes    map[string]node     `json:"nodes"`
	Sources  map[string]node     `json:"sources"`
	Exposed  map[string]node     `json:"exposures"`
	ChildMap map[string][]string `json:"child_map"`
}

type node struct {
	Name         string `json:"name"`
	ResourceType string `json:"resource_type"`
	Path         string `json:"original_file_path"`
	RawCode      string `json:"raw_code"`
	Database     string `json:"database"`
	Schema       string `json:"schema"`
	Alias        string `json:"alias"`
	Config       struct {
		Materialized string `json:"materialized"`
		FullRefresh  *bool  `json:"full_refresh"`
		Strategy     string `json:"incremental_strategy"`
		UniqueKey    any    `json:"unique_key"`
		SchemaChange string `json:"on_schema_change"`
		BatchSize    any    `json:"batch_size"`
	} `json:"config"`
}

// model returns the node as a Model.
func (m manifest) model(id string, n node) Model {
	batch, _ := n.Config.BatchSize.(string)
	return Model{
		Name: n.Name, UniqueID: id, Path: n.Path, Materialization: n.Config.Materialized,
		FullRefresh: n.Config.FullRefresh, Strategy: n.Config.Strategy, BatchSize: batch,
		SchemaChange: n.Config.SchemaChange, HasUniqueKey: hasKey(n.Config.UniqueKey),
		Relation: Relation{Database: n.Database, Schema: n.Schema, Identifier: n.Alias},
	}
}

func readManifest(path string) (manifest, error) {
	var m manifest
	if err := checkSize(path); err != nil {
		return m, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// downstream returns the names of the models and exposures that depend on ids, directly or indirectly, without those
// that are selected themselves.
func (m manifest) downstream(ids, selected []string) (models, exposures []string) {
	seen, own := map[string]bool{}, map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	for _, id := range selected {
		own[id] = true
	}
	for queue := slices.Clone(ids); len(queue) > 0; queue = queue[1:] {
		for _, child := range m.ChildMap[queue[0]] {
			if seen[child] {
				continue
			}
			seen[child] = true
			queue = append(queue, child)
			switch kind, _, _ := strings.Cut(child, "."); {
			case own[child]:
			case kind == "model":
				models = append(models, m.name(m.Nodes, child))
			case kind == "exposure":
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
