package unchanged

import (
	"bytes"
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// Names of the attributes that decide whether the front may answer.
const (
	statusName  = "status"
	onDriftName = "on_drift"
)

// kind is a resource type that the front may answer for.
type kind struct {
	// defaulted are the attributes that are both optional and computed. If one is not configured, Terraform proposes
	// the prior value, and the framework replaces it with the default.
	defaulted []string
}

// read returns the resource types that the front may answer for, or none if the schema can't be read.
func read(ctx context.Context, next Server) map[string]kind {
	schemas, err := next.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil || schemas == nil {
		return nil
	}
	identities, err := next.GetResourceIdentitySchemas(ctx, &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil || identities == nil {
		return nil
	}
	kinds := map[string]kind{}
	for name, schema := range schemas.ResourceSchemas {
		if _, identified := identities.IdentitySchemas[name]; identified {
			continue
		}
		if k, ok := kindOf(schema.Block); ok {
			kinds[name] = k
		}
	}
	return kinds
}

func kindOf(block *tfprotov6.SchemaBlock) (kind, bool) {
	var k kind
	hasStatus := false
	for _, a := range block.Attributes {
		switch {
		case a.Name == onDriftName || a.WriteOnly || hides(a.NestedType):
			return kind{}, false
		case a.Name == statusName:
			hasStatus = true
		case a.Optional && a.Computed:
			k.defaulted = append(k.defaulted, a.Name)
		}
	}
	return k, hasStatus && !slices.ContainsFunc(block.BlockTypes, hidesBlock)
}

// hides reports whether a nested attribute can have a default or is write-only.
func hides(nested *tfprotov6.SchemaObject) bool {
	return nested != nil && slices.ContainsFunc(nested.Attributes, unsure)
}

func unsure(a *tfprotov6.SchemaAttribute) bool {
	return a.WriteOnly || (a.Optional && a.Computed) || hides(a.NestedType)
}

func hidesBlock(b *tfprotov6.SchemaNestedBlock) bool {
	return slices.ContainsFunc(b.Block.Attributes, unsure) || slices.ContainsFunc(b.Block.BlockTypes, hidesBlock)
}

// configured reports whether every attribute that can have a default is configured.
func (k kind) configured(config *tfprotov6.DynamicValue) bool {
	if len(k.defaulted) == 0 {
		return config != nil
	}
	set, left := 0, len(k.defaulted)
	whole := eachAttribute(config, func(d *msgpack.Decoder, name string) (bool, error) {
		if !slices.Contains(k.defaulted, name) {
			return true, d.Skip()
		}
		code, err := d.PeekCode()
		if err != nil || code == msgpcode.Nil || msgpcode.IsExt(code) { // an extension encodes an unknown value
			return false, err
		}
		set++
		return set < left, d.Skip()
	})
	return whole && set == left
}

// text returns an attribute of an object if it is a known string.
func text(value *tfprotov6.DynamicValue, attribute string) (string, bool) {
	var found *string
	whole := eachAttribute(value, func(d *msgpack.Decoder, name string) (bool, error) {
		if name != attribute {
			return true, d.Skip()
		}
		code, err := d.PeekCode()
		if err != nil || !msgpcode.IsString(code) {
			return false, err
		}
		s, err := d.DecodeString()
		found = &s
		return false, err
	})
	if !whole || found == nil {
		return "", false
	}
	return *found, true
}

// eachAttribute calls visit for each attribute of an object until visit returns false. It reports whether the value is
// an object with attributes, and everything that it read was encoded as such. visit consumes the attribute's value.
func eachAttribute(value *tfprotov6.DynamicValue, visit func(d *msgpack.Decoder, name string) (bool, error)) bool {
	if value == nil {
		return false
	}
	d := msgpack.NewDecoder(bytes.NewReader(value.MsgPack))
	n, err := d.DecodeMapLen() // -1 is null
	for range n {
		var name string
		if name, err = d.DecodeString(); err != nil {
			return false
		}
		var more bool
		if more, err = visit(d, name); err != nil || !more {
			break
		}
	}
	return err == nil && n > 0
}
