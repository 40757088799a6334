package journal

import (
	"encoding/json"
	"testing"
	"time"
)

func entry() Entry {
	return Entry{
		Seq: 2, Execution: 1, Kind: KindProgress, At: time.Date(2026, 1, 2, 3, 4, 5, 60, time.UTC),
		Subject: Subject{Playbook: "p", Target: "t", Request: "r", Incident: "i"}, Body: json.RawMessage(`{"a":1}`),
	}
}

// TestSealIsStable pins the hash. Every later version must be able to verify today's journals. The hash is printf
// '%s\n%s' 'remediation journal entry v1' "$(entry as JSON with an empty hash)" | sha256sum
func TestSealIsStable(t *testing.T) {
	t.Parallel()
	const want = "65aef6daa752eaf42a4bd71a8c48a40d66584a670e2820a1ab8debd7fb9f9af7"
	e, err := Seal(entry(), "prev")
	if err != nil || e.Hash != want || e.Prev != "prev" {
		t.Errorf("got %q after %q, %v", e.Hash, e.Prev, err)
	}
	if again, err := Seal(e, "prev"); err != nil || again.Hash != want {
		t.Errorf("sealed again: %q, %v", again.Hash, err)
	}
}

func TestSealCoversEveryField(t *testing.T) {
	t.Parallel()
	whole, err := Seal(entry(), "prev")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Entry){
		"seq":       func(e *Entry) { e.Seq++ },
		"execution": func(e *Entry) { e.Execution++ },
		"kind":      func(e *Entry) { e.Kind = KindOutcome },
		"at":        func(e *Entry) { e.At = e.At.Add(time.Nanosecond) },
		"playbook":  func(e *Entry) { e.Subject.Playbook = "q" },
		"target":    func(e *Entry) { e.Subject.Target = "q" },
		"request":   func(e *Entry) { e.Subject.Request = "q" },
		"incident":  func(e *Entry) { e.Subject.Incident = "" },
		"body":      func(e *Entry) { e.Body = json.RawMessage(`{"a":2}`) },
		"prev":      func(e *Entry) { e.Prev = "other" },
	} {
		changed := whole
		change(&changed)
		again, err := Seal(changed, changed.Prev)
		if err != nil || again.Hash == whole.Hash {
			t.Errorf("%s: a change keeps the hash (%v)", name, err)
		}
	}
}

func TestSealRefusesBrokenBody(t *testing.T) {
	t.Parallel()
	e := entry()
	e.Body = json.RawMessage(`{`)
	if got, err := Seal(e, ""); err == nil {
		t.Errorf("got %+v", got)
	}
}
