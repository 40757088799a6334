package elastic

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// watermark is the low disk watermark: the usage above which Elasticsearch places no more shards on a disk.
type watermark struct {
	// enabled is false if Elasticsearch does not check disks.
	enabled bool
	// low and headroom are settings such as "85%" or "10gb". headroom bounds the space that a percentage reserves.
	low, headroom string
}

// reserved returns how many bytes of a disk must stay free.
func (w watermark) reserved(total int64) int64 {
	if !w.enabled {
		return 0
	}
	share, isShare := ratio(w.low)
	if !isShare {
		return bytesOf(w.low)
	}
	keep := int64(float64(total) * (1 - share))
	if most := bytesOf(w.headroom); most > 0 {
		keep = min(keep, most)
	}
	return keep
}

func ratio(text string) (float64, bool) {
	const percent = 100
	if number, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseFloat(number, 64)
		return n / percent, err == nil
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}

// bytesOf parses a size such as "200GB". Elasticsearch's units are powers of two.
func bytesOf(text string) int64 {
	number := strings.TrimSuffix(strings.ToLower(text), "b")
	n, err := humanize.ParseBytes(number + "ib")
	if err != nil {
		return 0
	}
	return int64(n) //nolint:gosec // the size of a disk
}

// setting returns a function that looks up settings of the cluster by their dotted names below a prefix. Explicit
// settings take precedence over defaults. A setting that does not exist is empty.
func (c *Cluster) setting(ctx context.Context, what, prefix string) (func(name string) string, error) {
	// With flat_settings, filter_path would match nothing: it splits names at their dots.
	var answer struct{ Persistent, Transient, Defaults map[string]json.RawMessage }
	request := esapi.ClusterGetSettingsRequest{IncludeDefaults: yes(), FilterPath: []string{"*." + prefix}}
	err := c.get(ctx, what, request, &answer)
	return func(name string) string {
		for _, level := range []map[string]json.RawMessage{answer.Transient, answer.Persistent, answer.Defaults} {
			if text := lookup(level, prefix+name); text != "" {
				return text
			}
		}
		return ""
	}, err
}

func (c *Cluster) watermark(ctx context.Context) (watermark, error) {
	setting, err := c.setting(ctx, "Read the disk watermarks", "cluster.routing.allocation.disk")
	return watermark{
		enabled: setting(".threshold_enabled") != "false", low: cmp.Or(setting(".watermark.low"), "85%"),
		headroom: setting(".watermark.low.max_headroom"),
	}, err
}

// FreeShards returns how many more shards the cluster accepts (cluster.max_shards_per_node).
func (c *Cluster) FreeShards(ctx context.Context) (int64, error) {
	setting, err := c.setting(ctx, "Read the limit of shards", "cluster.max_shards_per_node")
	if err != nil {
		return 0, err
	}
	most, err := strconv.ParseInt(setting(""), 10, 64)
	if err != nil {
		return math.MaxInt64, nil //nolint:nilerr // the cluster has no such limit
	}
	var answer struct {
		Nodes        int64 `json:"number_of_data_nodes"`
		Active       int64 `json:"active_shards"`
		Initializing int64 `json:"initializing_shards"`
		Unassigned   int64 `json:"unassigned_shards"`
	}
	err = c.get(ctx, "Count the shards of the cluster", esapi.ClusterHealthRequest{}, &answer)
	return most*answer.Nodes - answer.Active - answer.Initializing - answer.Unassigned, err
}

// FreeBytes returns how many bytes of new shards fit on the nodes with the role data or data_content: the sum of their
// space below the low disk watermark.
func (c *Cluster) FreeBytes(ctx context.Context) (int64, error) {
	mark, err := c.watermark(ctx)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Nodes map[string]struct {
			Roles []string `json:"roles"`
			FS    struct {
				Total struct {
					Total     int64 `json:"total_in_bytes"`
					Available int64 `json:"available_in_bytes"`
				} `json:"total"`
			} `json:"fs"`
		} `json:"nodes"`
	}
	err = c.get(ctx, "Read how much disk is free", esapi.NodesStatsRequest{Metric: []string{"fs"}}, &answer)
	var sum int64
	for _, n := range answer.Nodes {
		for _, r := range n.Roles {
			if r == "data" || r == "data_content" {
				sum += max(0, n.FS.Total.Available-mark.reserved(n.FS.Total.Total))
				break
			}
		}
	}
	return sum, err
}
