package synonyms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/logging"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic"
	"github.com/applylens/terraform-provider-remediation/internal/target/elastic/reindex"
)

// identity identifies the cluster and the indices by their UUIDs, regardless of their names.
func (a action) identity(ctx context.Context, indices []elastic.Index) (any, error) {
	cluster, err := a.elastic.UUID(ctx)
	if err != nil {
		return nil, err
	}
	if cluster == "" {
		cluster = a.elastic.Name()
	}
	uuids := make([]string, len(indices))
	for i, index := range indices {
		uuids[i] = index.Setting("uuid")
	}
	return map[string]any{"cluster": cluster, "indices": uuids}, nil
}

// identityOf returns the identity with the index to which the name refers now.
func (a action) identityOf(ctx context.Context, index string) (any, error) {
	described, err := a.elastic.DescribeNow(ctx, index)
	if err != nil {
		return nil, err
	}
	return a.identity(ctx, []elastic.Index{described})
}

const (
	// identityTries is how often the identity is read after the work, and identityPause the time between two reads.
	identityTries = 5
	identityPause = 2 * time.Second
)

// identityAfter is identityOf for the report of work that is done, even if ctx has ended. Nil: it can't be read, which
// is no reason to call the work a failure.
func (a action) identityAfter(ctx context.Context, index string) any {
	ctx = context.WithoutCancel(ctx)
	for try := 1; ; try++ {
		identity, err := a.identityOf(ctx, index)
		if err == nil {
			return identity
		}
		logging.Warn(ctx, logging.Elasticsearch, "the identity of the index can't be read", "index", index,
			"error", err.Error())
		if try == identityTries || !elastic.Unanswered(err) || a.clk.Sleep(ctx, identityPause) != nil {
			return nil
		}
	}
}

// content is Preview.Content: the definition of each index, and the rules of a synonyms set. The rules of a file are
// covered by the tokens of the probe texts, which are facts.
func content(c choice) any {
	definitions := map[string]any{}
	for _, index := range c.indices {
		definitions[index.Name] = reindex.Definition(index)
	}
	out := map[string]any{"indices": definitions}
	switch {
	case c.rules == nil:
	case len(c.rules) <= shownInContent:
		out["rules"] = c.rules
	default:
		sum := sha256.Sum256([]byte(strings.Join(c.rules, "\n")))
		out["rules"], out["rules_sha256"] = len(c.rules), hex.EncodeToString(sum[:])
	}
	return out
}

// shownInContent is the largest number of rules of a set that the journal keeps with each dry run.
const shownInContent = 1_000
