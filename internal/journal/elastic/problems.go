package elastic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/problem"
)

// attribute is where the provider block names the journal.
var attribute = []string{"journal", "elasticsearch", "index"}

func (s *Store) unfit(why string) error {
	return &problem.Problem{
		What: fmt.Sprintf("A journal in Elasticsearch can't be named %q", s.index), Why: why,
		Next: "Set journal.elasticsearch.index to another name, " +
			"such as " + DefaultIndex + ".", Path: attribute, Err: journal.ErrUnavailable,
	}
}

func (s *Store) foreign(why string) error {
	return &problem.Problem{
		What: fmt.Sprintf("Other data uses the names of the journal %s in Elasticsearch", s.index), Why: why,
		Next: "Nothing was changed. Set journal.elasticsearch.index to another name, or remove the other data if " +
			"nobody needs it.",
		Path: attribute, Err: journal.ErrForeign,
	}
}

// absent returns the error for a journal that was to be opened and doesn't exist.
func (s *Store) absent() error {
	return &problem.Problem{
		What: fmt.Sprintf("There is no journal %s in Elasticsearch", s.index),
		Why:  "The cluster has no index of such a journal.",
		Next: "Nothing was created. Check the name and the cluster.", Path: attribute,
		Err: fmt.Errorf("%w: %w", journal.ErrUnavailable, errAbsent),
	}
}

var errAbsent = errors.New("there is no such journal")

func (s *Store) newer(what string, version int) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s in Elasticsearch was written by a newer version of the provider", s.index),
		Why: fmt.Sprintf("%s has version %d; this provider supports versions up to %d.", what, version,
			s.limits.version),
		Next: "It was left as it is. Use the newer version of the provider, or set journal.elasticsearch.index to " +
			"another name.",
		Path: attribute, Err: journal.ErrNewer,
	}
}

func (s *Store) damaged(cause error) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s in Elasticsearch is damaged", s.index), Why: cause.Error() + ".",
		Next: fmt.Sprintf("Nothing was repaired or removed. Restore the indices %s from a snapshot, or set "+
			"journal.elasticsearch.index to another name and keep these "+
			"for reading. tools/verify_journal.py says where the chain breaks.", s.pattern()),
		Path: attribute, Err: cause,
	}
}

func (s *Store) unavailable(why string, cause error, next string) error {
	return &problem.Problem{
		What: fmt.Sprintf("The journal %s in Elasticsearch cannot be read or written",
			s.index), Why: strings.TrimSuffix(s.client.Mask(why), ".") + ".", Next: next,
		Path: attribute, Err: fmt.Errorf("%w: %w", journal.ErrUnavailable, cause),
	}
}

// granted matches the privileges in the server's message: "this action is granted by the index privileges
// [manage,all]".
var granted = regexp.MustCompile(`this action is granted by the (index|cluster) privileges \[([^\]]*)\]`)

// needed lists the privileges that the guide on the journal in Elasticsearch asks for.
const needed = "On %[1]s-entries-* the journal needs read, create_doc, create_index, view_index_metadata and " +
	"maintenance, with journal.keep also index; on %[1]s-leases read, index, delete and create_index"

func (s *Store) privilegeAdvice(reason string) string {
	all := fmt.Sprintf(needed, s.index) + ". Give them to the user or API key, then run again."
	m := granted.FindStringSubmatch(reason)
	if m == nil {
		return all
	}
	return fmt.Sprintf("The missing %s privilege is one of %s. %s", m[1], strings.ReplaceAll(m[2], ",", ", "), all)
}

// explain converts errors to *problem.Problem. Errors that callers of a Store distinguish, such as ErrNotFound,
// ErrFenced, and *journal.BusyError, are returned unchanged.
func (s *Store) explain(ctx context.Context, err error) error {
	var p *problem.Problem
	var held *journal.BusyError
	var refused *elasticsearch.ResponseError
	cause := ctx.Err()
	switch {
	case err == nil, errors.As(err, &held), errors.Is(err, journal.ErrNotFound), errors.Is(err, journal.ErrClosed),
		errors.Is(err, journal.ErrFenced), errors.Is(err, journal.ErrGaps), errors.Is(err, errAbsent):
		return err
	case errors.Is(err, errClosed):
		return s.unavailable(err.Error(), err, "This is a bug in the provider. Report it.")
	case errors.Is(err, journal.ErrDamaged):
		return s.damaged(err)
	case cause != nil && errors.Is(err, cause):
		return fmt.Errorf("journal %s: %w", s.index, cause)
	case errors.Is(err, journal.ErrOrder), errors.Is(err, journal.ErrForeign), errors.Is(err, journal.ErrNewer):
		return err
	case errors.As(err, &p) && errors.As(err, &refused) && !elasticsearch.Passing(err):
		return s.unavailable(p.What+". "+p.Why, err, s.advice(refused))
	case errors.As(err, &p) && refused == nil:
		return s.unavailable(p.Why, err, p.Next)
	default:
		return s.unavailable(err.Error(), err,
			"Look at the cluster's health and run again. Entries that were written before are found again.")
	}
}

func (s *Store) advice(e *elasticsearch.ResponseError) string {
	switch {
	case e.Type == "cluster_block_exception":
		return "Remove the block, or wait until its cause is gone (a full disk also causes one), then run again. The " +
			"newest range of a journal must not be made read-only."
	case e.Type == "index_closed_exception":
		return fmt.Sprintf("Open all indices that match %s, then run again.", s.pattern())
	case e.Status == http.StatusUnauthorized:
		return "Check username and password, api_key or bearer_token of the provider's elasticsearch block, or the " +
			"ELASTICSEARCH_* variables."
	case e.Status == http.StatusForbidden:
		return s.privilegeAdvice(e.Reason)
	default:
		return "Check that elasticsearch.endpoints names an Elasticsearch of version 8 or newer, and the settings of " +
			"the cluster's templates."
	}
}
