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
		return Invalid("Expected "+expected(mistyped.Type)+".",
			fmt.Sprintf("%s is the %s.", mistyped.Field, mistyped.Value), strings.Split(mistyped.Field, ".")...)
	}
	if err != nil {
		return &problem.Problem{What: "Invalid parameters", Why: text.JSONProblem(err, params),
			Next: "See the playbook's inputs in the documentation.", Err: err}
	}
	return nil
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
