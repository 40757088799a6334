package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/acctest/elastictest"
	"github.com/applylens/terraform-provider-remediation/internal/elasticsearch"
	"github.com/applylens/terraform-provider-remediation/internal/journal"
	"github.com/applylens/terraform-provider-remediation/internal/journal/journaltest"
)

const (
	// benchRecords is how many records a journal has in the benchmarks, unless benchVariable says otherwise.
	benchRecords  = 2_000
	benchVariable = "REMEDIATION_BENCH_RECORDS"
	// recordsPerIncident is the number of records per incident. The newest historyLimit of them are read, as for a
	// state.
	recordsPerIncident = 100
	historyLimit       = 50
	// batch is how many entries are inserted per request.
	batch = 5_000
)

// filled opens a journal with records, each an intent and its outcome, and returns their number.
func filled(b *testing.B, on *elastictest.Server, index string) (*Store, int) {
	b.Helper()
	count := benchRecords
	if text := os.Getenv(benchVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	s := openTest(b, at(on.Config, index), usual())
	intent, err := journal.Encode(journal.KindIntent, journaltest.Intent())
	if err != nil {
		b.Fatal(err)
	}
	end, err := journal.Encode(journal.KindOutcome, journal.Outcome{Status: journal.StatusSuccess})
	if err != nil {
		b.Fatal(err)
	}
	v, lines := s.latest(), &bytes.Buffer{}
	add := func(e journal.Entry) {
		e.Seq, e.At = v.head.Seq+1, time.Now().UTC().Round(0)
		if e.Execution == 0 {
			e.Execution = e.Seq
		}
		if e, err = journal.Seal(e, v.head.Hash); err != nil {
			b.Fatal(err)
		}
		if v, _, err = v.with(e); err != nil {
			b.Fatal(err)
		}
		line, err := json.Marshal(newDocument(e, v.openIDs(), "nonce"))
		if err != nil {
			b.Fatal(err)
		}
		if s.opensRange(e.Seq) {
			if err := s.createRange(b.Context(), s.rangeOf(e.Seq)); err != nil {
				b.Fatal(err)
			}
		}
		fmt.Fprintf(lines, "{\"create\":{\"_index\":%q,\"_id\":%q}}\n%s\n", s.rangeOf(e.Seq), documentID(e.Seq), line)
		if e.Seq%batch == 0 || e.Seq == int64(2*count) {
			var answer struct{ Errors bool }
			on.Do(b, http.MethodPost, "/_bulk", lines.Bytes(), &answer)
			if answer.Errors {
				b.Fatal("not all were created")
			}
			lines.Reset()
		}
	}
	for i := range count {
		subject := journaltest.Subject(i % 1000)
		subject.Incident = incident(i % max(1, count/recordsPerIncident))
		add(journal.Entry{Kind: journal.KindIntent, Subject: subject, Body: intent})
		add(journal.Entry{Kind: journal.KindOutcome, Execution: v.head.Seq, Subject: subject, Body: end})
	}
	s.advance(v)
	return s, count
}

func incident(n int) string { return fmt.Sprintf("INC-%d", n) }

// BenchmarkJournal fills one journal for all measurements.
func BenchmarkJournal(b *testing.B) {
	on := elastictest.Shared(b)
	index := place(b, on)
	s, count := filled(b, on, index)
	raw := rawIndex(b, on, s)
	b.Run("append", func(b *testing.B) { benchAppend(b, on, s, raw) })
	b.Run("history", func(b *testing.B) { benchHistory(b, s, count) })
	b.Run("open", func(b *testing.B) { benchOpen(b, at(on.Config, index)) })
}

// benchAppend makes executions of four entries. In turn with them, it creates the same documents under other
// identifiers in an index with the same mappings and the same number of documents, with one request each on a
// connection of the same kind. It reports the ratio of both times.
func benchAppend(b *testing.B, on *elastictest.Server, s *Store, raw string) {
	client := elasticsearch.New(on.Config, s.clock)
	var appending, creating time.Duration
	const warm, rounds, entries = 50, 500, 4
	for b.Loop() {
		for n := range warm + rounds {
			began := time.Now()
			if err := journaltest.Work(b.Context(), s, journaltest.Subject(n), 1); err != nil {
				b.Fatal(err)
			}
			appended := time.Now()
			found, err := s.documents(b.Context(), s.latest().head.Seq-entries+1, s.latest().head.Seq)
			if err != nil || len(found) != entries {
				b.Fatalf("%d documents, %v", len(found), err)
			}
			creatingSince := time.Now()
			for _, d := range found {
				if err := createRaw(b.Context(), client, raw, d); err != nil {
					b.Fatal(err)
				}
			}
			if n >= warm {
				creating += time.Since(creatingSince)
				appending += appended.Sub(began)
			}
		}
	}
	each := float64(b.N * rounds * entries)
	b.ReportMetric(float64(appending.Microseconds())/each, "µs/append")
	b.ReportMetric(float64(creating.Microseconds())/each, "µs/create")
	b.ReportMetric(float64(appending)/float64(creating), "append/create")
}

// rawIndex copies the newest range of the journal.
func rawIndex(b *testing.B, on *elastictest.Server, s *Store) string {
	b.Helper()
	name := s.index + "-raw"
	body, err := encode(map[string]any{"settings": settings(), "mappings": s.mappings()})
	if err != nil {
		b.Fatal(err)
	}
	on.Do(b, http.MethodPut, "/"+name, body, nil)
	newest := s.rangeOf(s.latest().head.Seq)
	var task struct{ Task string }
	on.Do(b, http.MethodPost, "/_reindex?wait_for_completion=false", map[string]any{
		"source": map[string]any{"index": newest, "size": batch}, "dest": map[string]string{"index": name},
	}, &task)
	for done := false; !done; time.Sleep(time.Second) {
		var state struct{ Completed bool }
		on.Do(b, http.MethodGet, "/_tasks/"+task.Task, nil, &state)
		done = state.Completed
	}
	return name
}

func createRaw(ctx context.Context, client *elasticsearch.Client, index string, d document) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return client.Do(ctx, elasticsearch.Call{What: "Create a raw document", Request: elasticsearch.Plain{
		Method: http.MethodPut, Path: fmt.Sprintf("/%s/_create/raw-%d", index, d.Seq), Body: body,
	}})
}

// benchHistory reads the newest records of one incident, as a resource does.
func benchHistory(b *testing.B, s *Store, count int) {
	want := min(historyLimit, count)
	const warm, rounds = 20, 200
	var all []time.Duration
	for b.Loop() {
		for n := range warm + rounds {
			began := time.Now()
			found, err := s.Find(b.Context(), journal.Filter{Incident: incident(n % max(1, count/recordsPerIncident)),
				Limit: historyLimit})
			if err != nil || len(found) != want {
				b.Fatalf("%d records, %v", len(found), err)
			}
			if n >= warm {
				all = append(all, time.Since(began))
			}
		}
	}
	report(b, all, "history")
	b.ReportMetric(float64(count), "records")
}

// benchOpen opens the journal and reads one record, as every run of Terraform does.
func benchOpen(b *testing.B, cfg Config) {
	const rounds = 20
	var all []time.Duration
	for b.Loop() {
		for range rounds {
			began := time.Now()
			again := openTest(b, cfg, usual())
			if _, err := again.Get(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
			all = append(all, time.Since(began))
		}
	}
	report(b, all, "open")
}

func report(b *testing.B, all []time.Duration, what string) {
	b.Helper()
	const milli, percent = 1000, 0.95
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/milli, "ms-median-"+what)
	b.ReportMetric(float64(all[int(percent*float64(len(all)))].Microseconds())/milli, "ms-95%-"+what)
}
