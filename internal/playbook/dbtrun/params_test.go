package dbtrun

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/target/dbt"
)

func TestLargeNumbersReachDBTAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	p, err := Describe().Decode(json.RawMessage(`{"models":["a"],"vars":{"id":9007199254740993,"rate":0.1}}`))
	if err != nil {
		t.Fatal(err)
	}
	argv := dbt.New(dbt.Config{}, clock.System{}).RunCommand(p.selection())
	if want := `{"id":9007199254740993,"rate":0.1}`; !slices.Contains(argv, want) {
		t.Errorf("%q lacks %s", argv, want)
	}
}
