package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/applylens/terraform-provider-remediation/internal/problem"
	"github.com/applylens/terraform-provider-remediation/internal/text"
	"github.com/applylens/terraform-provider-remediation/internal/tfkit/codec"
)

// policyDocument is the file that REMEDIATION_POLICY names. Settings have the same names as in the provider block.
type policyDocument struct {
	block                       // approval and journal only
	Hosts, Executables []string // nil: the policy has no such list
}

// parsePolicy reads the document. It refuses names that are unknown or occur twice, because such a setting would
// silently restrict nothing, and validates everything else like the provider block.
func parsePolicy(ctx context.Context, data []byte) (policyDocument, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	decoded, err := decodeStrictly(decoder, nil)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("unexpected data after the JSON object")
		}
	}
	if err != nil {
		return policyDocument{}, err
	}
	root, ok := decoded.(map[string]any)
	if !ok {
		return policyDocument{}, errors.New("it is not a JSON object")
	}
	var document policyDocument
	whole := blockSchema()
	known := map[string]schema.Block{"approval": whole.Blocks["approval"], "journal": whole.Blocks["journal"]}
	if err := checkNames(root, schema.SingleNestedBlock{Blocks: known, Attributes: map[string]schema.Attribute{
		"hosts": nil, "executables": nil}}, nil); err != nil {
		return policyDocument{}, err
	}
	if document.Hosts, err = takeList(root, "hosts"); err != nil {
		return policyDocument{}, err
	}
	if document.Executables, err = takeList(root, "executables"); err != nil {
		return policyDocument{}, err
	}
	document.block, err = decodeBlock(ctx, root, whole)
	return document, err
}

// decodeStrictly decodes a JSON value and refuses names that occur twice in one object.
func decodeStrictly(from *json.Decoder, at []string) (any, error) {
	token, err := from.Token()
	if err != nil {
		return nil, fmt.Errorf("it is not valid JSON: %w", err)
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for from.More() {
			name, err := from.Token()
			if err != nil {
				return nil, fmt.Errorf("it is not valid JSON: %w", err)
			}
			key := fmt.Sprint(name)
			inside := append(slices.Clone(at), key)
			if _, twice := object[key]; twice {
				return nil, fmt.Errorf("%s occurs twice", problem.Where(inside))
			}
			if object[key], err = decodeStrictly(from, inside); err != nil {
				return nil, err
			}
		}
		return object, ended(from)
	case json.Delim('['):
		list := []any{}
		for from.More() {
			element, err := decodeStrictly(from, append(slices.Clone(at), strconv.Itoa(len(list))))
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		return list, ended(from)
	default:
		return token, nil
	}
}

// ended reads the closing delimiter of an object or a list.
func ended(from *json.Decoder) error {
	if _, err := from.Token(); err != nil {
		return fmt.Errorf("it is not valid JSON: %w", err)
	}
	return nil
}

// takeList removes a list of strings from the object and returns it, or nil if there is none.
func takeList(object map[string]any, name string) ([]string, error) {
	value, ok := object[name]
	if !ok {
		return nil, nil
	}
	delete(object, name)
	elements, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is not a list", name)
	}
	list := make([]string, 0, len(elements)) // not nil: an empty list allows nothing
	for i, element := range elements {
		one, ok := element.(string)
		if !ok {
			return nil, fmt.Errorf("%s[%d] is not a string", name, i)
		}
		if slices.Contains(list, one) {
			return nil, fmt.Errorf("%s[%d]: %q occurs twice", name, i, one)
		}
		list = append(list, one)
	}
	return list, nil
}

// membersOf returns the names of a block's attributes, its inner blocks, and whether it may be repeated.
func membersOf(of schema.Block) (attributes []string, blocks map[string]schema.Block, repeated bool) {
	switch b := of.(type) {
	case schema.SingleNestedBlock:
		return slices.Collect(maps.Keys(b.Attributes)), b.Blocks, false
	case schema.ListNestedBlock:
		return slices.Collect(maps.Keys(b.NestedObject.Attributes)), b.NestedObject.Blocks, true
	}
	return nil, nil, false
}

// checkNames refuses a name that the block doesn't have. It refuses null too, which looks like a setting and is none.
func checkNames(object map[string]any, of schema.Block, at []string) error {
	attributes, blocks, _ := membersOf(of)
	names := slices.Concat(attributes, slices.Collect(maps.Keys(blocks)))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		inside := append(slices.Clone(at), name)
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s is unknown.%s", problem.Where(inside), text.DidYouMean(name, names))
		}
		if object[name] == nil {
			return fmt.Errorf("%s is null; remove it", problem.Where(inside))
		}
		if inner, isBlock := blocks[name]; isBlock {
			if err := checkBlock(object[name], inner, inside); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkBlock checks the argument names of a block against its schema. The block is an object, or a list of objects if
// it may be repeated.
func checkBlock(value any, of schema.Block, at []string) error {
	if _, _, repeated := membersOf(of); !repeated {
		object, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is not an object", problem.Where(at))
		}
		return checkNames(object, of, at)
	}
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%s is not a list of objects", problem.Where(at))
	}
	for i, element := range list {
		where := append(slices.Clone(at), strconv.Itoa(i))
		object, ok := element.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is not an object", problem.Where(where))
		}
		if err := checkNames(object, of, where); err != nil {
			return err
		}
	}
	return nil
}

// decodeBlock converts the object to a provider block, with every check of the schema.
func decodeBlock(ctx context.Context, object map[string]any, whole schema.Schema) (block, error) {
	kind := whole.Type().TerraformType(ctx)
	value, err := codec.Terraform(kind, object)
	if err != nil {
		return block{}, err
	}
	raw, err := tfprotov6.NewDynamicValue(kind, value)
	if err != nil {
		return block{}, err
	}
	checked, err := providerserver.NewProtocol6(New("")())().ValidateProviderConfig(ctx,
		&tfprotov6.ValidateProviderConfigRequest{Config: &raw})
	if err != nil {
		return block{}, err
	}
	for _, d := range checked.Diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			return block{}, fmt.Errorf("%s: %s: %s", stepsOf(d.Attribute), d.Summary, d.Detail)
		}
	}
	var b block
	diags := tfsdk.Config{Raw: value, Schema: whole}.Get(ctx, &b)
	for _, d := range diags.Errors() {
		return block{}, fmt.Errorf("%s: %s", d.Summary(), d.Detail())
	}
	return b, nil
}

// stepsOf formats the path of a diagnostic.
func stepsOf(at *tftypes.AttributePath) string {
	var steps []string
	for _, step := range at.Steps() {
		switch s := step.(type) {
		case tftypes.AttributeName:
			steps = append(steps, string(s))
		case tftypes.ElementKeyString:
			steps = append(steps, problem.Key(string(s)))
		case tftypes.ElementKeyInt:
			steps = append(steps, strconv.FormatInt(int64(s), 10))
		}
	}
	return strings.TrimSpace(problem.Where(steps))
}
