package playbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
)

// Decode reads a playbook's parameters. An unknown parameter, or one of the wrong type, is a problem.
func Decode(params json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.DisallowUnknownFields()
	decoder.UseNumber() // pass large whole numbers to the command line unchanged
	err := decoder.Decode(into)
	switch _, more := decoder.Token(); {
	case !bytes.HasPrefix(bytes.TrimSpace(params), []byte("{")):
		err = errors.New("expected a JSON object, such as {\"models\": [\"inbox_emails\"]}")
	case err == nil && !errors.Is(more, io.EOF):
		err = errors.New("unexpected data after the JSON object")
	}
	if mistyped := new(json.UnmarshalTypeError); errors.As(err, &mistyped) && mistyped.Field != "" {
		at := written(mistyped.Field, params)
		return Invalid("Expected "+expected(mistyped.Type)+".",
			fmt.Sprintf("%s is %s.", strings.Join(at, "."), found(mistyped.Value)), at...)
	}
	if err != nil {
		return &problem.Problem{What: "Invalid parameters", Why: text.JSONProblem(err, params),
			Next: "See the playbook's inputs in the documentation.", Err: err}
	}
	return nil
}

// written returns the path of a field as params have it: package json also names the structs that Go embeds.
func written(field string, params json.RawMessage) []string {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(params, &members) // mistyped members are JSON all the same
	at := strings.Split(field, ".")
	for len(at) > 1 && members[at[0]] == nil {
		at = at[1:]
	}
	return at
}

// found describes a value that has the wrong type, from package json's description of it.
func found(value string) string {
	switch kind, literal, _ := strings.Cut(value, " "); {
	case literal != "":
		return "the " + value // "the number 1.5"
	case kind == "array":
		return "a list"
	case kind == "object":
		return "an object"
	case kind == "bool":
		return "true or false"
	default:
		return "a " + kind
	}
}

// expected names a type in words.
func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// Invalid returns the problem for the invalid parameter at path: allowed says which values are valid, and why what is
// wrong with this one.
func Invalid(allowed, why string, path ...string) error {
	return &problem.Problem{What: fmt.Sprintf("Invalid %s", path[0]), Why: why, Next: allowed, Path: path}
}
