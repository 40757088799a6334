package text

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// JSONProblem says in a sentence why content can't be decoded, given the error from encoding/json.
func JSONProblem(err error, content []byte) string {
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "The text ends before the JSON is complete."
	case errors.Is(err, io.EOF):
		return "It is empty."
	case errors.As(err, &syntax):
		at := content[:min(int(syntax.Offset), len(content))]
		return fmt.Sprintf("Line %d is not JSON: %s.", bytes.Count(at, []byte("\n"))+1, syntax)
	case errors.As(err, &mistyped):
		return fmt.Sprintf("%s is a %s.", mistyped.Field, mistyped.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "It has the unknown name " + name + "."
	}
	return err.Error() + "."
}
