package proc

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxPlan is the largest saved plan that is read, in bytes.
const maxPlan = 512 << 20

// SavedPlan contains the planned values in a saved plan, and the private data of its destroys.
type SavedPlan struct{ planned, destroyed [][]byte }

// ReadPlan reads a saved plan. It fails if the file is not one, or is encrypted.
func ReadPlan(path string) (SavedPlan, error) {
	file, err := os.Open(path) //nolint:gosec // the plan that Terraform itself was given
	if err != nil {
		return SavedPlan{}, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return SavedPlan{}, err
	}
	if !info.Mode().IsRegular() {
		return SavedPlan{}, fmt.Errorf("%s is not a regular file", path)
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		return SavedPlan{}, fmt.Errorf("read the saved plan %s: %w", path, err)
	}
	member, err := archive.Open("tfplan")
	if err != nil {
		return SavedPlan{}, fmt.Errorf("read the saved plan %s: %w", path, err)
	}
	text, err := io.ReadAll(io.LimitReader(member, maxPlan))
	if err = errors.Join(err, member.Close()); err != nil {
		return SavedPlan{}, fmt.Errorf("read the saved plan %s: %w", path, err)
	}
	return SavedPlan{planned: plannedValues(text), destroyed: destroyedData(text)}, nil
}

// Names reports whether the plan contains a journal record: its number and its digest, in one resource.
func (p SavedPlan) Names(record int64, digest string) bool {
	if digest == "" {
		return false
	}
	asNumber, asText := recordKey, recordKey
	asNumber = append(asNumber[:len(asNumber):len(asNumber)], packed(record)...)
	decimal := strconv.FormatInt(record, 10)
	const fixedText = 0xa0                                                          // msgpack: a text of up to 31 bytes
	asText = append(asText[:len(asText):len(asText)], byte(fixedText|len(decimal))) //nolint:gosec // 19 at most
	asText = append(asText, decimal...)
	for _, value := range p.planned {
		if bytes.Contains(value, []byte(digest)) && (bytes.Contains(value, asNumber) || bytes.Contains(value, asText)) {
			return true
		}
	}
	return false
}

// Shows reports whether the plan contains a digest.
func (p SavedPlan) Shows(digest string) bool {
	for _, value := range p.planned {
		if bytes.Contains(value, []byte(digest)) {
			return true
		}
	}
	return false
}

// Destroys reports whether a destroy in the plan has private data that contains a digest.
func (p SavedPlan) Destroys(digest string) bool {
	for _, data := range p.destroyed {
		var keys map[string][]byte // in base64
		if digest == "" || json.Unmarshal(data, &keys) != nil {
			continue
		}
		for _, value := range keys {
			if bytes.Contains(value, []byte(digest)) {
				return true
			}
		}
	}
	return false
}

// Previews reports whether the plan contains at least one dry run, by its record number.
func (p SavedPlan) Previews() bool {
	for _, value := range p.planned {
		_, after, found := bytes.Cut(value, recordKey)
		if found && len(after) > 0 && after[0] != nilValue && after[0] < extension {
			return true
		}
	}
	return false
}

// recordKey is the name of the attribute preview.record in msgpack.
var recordKey = []byte("\xa6record")

const (
	// nilValue is null in msgpack. Unknown values are extensions, whose first byte is extension or higher.
	nilValue, extension = 0xc0, 0xd4
)

// packed encodes a number in msgpack, in its shortest form.
func packed(n int64) []byte {
	const u8, u16, u32, u64 = 0xcc, 0xcd, 0xce, 0xcf
	switch {
	case n <= math.MaxInt8:
		return []byte{byte(n)} //nolint:gosec // it fits
	case n <= math.MaxUint8:
		return []byte{u8, byte(n)}
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16([]byte{u16}, uint16(n)) //nolint:gosec // it fits
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32([]byte{u32}, uint32(n)) //nolint:gosec // it fits
	default:
		return binary.BigEndian.AppendUint64([]byte{u64}, uint64(n)) //nolint:gosec // it is positive
	}
}

// Fields of Terraform's planfile.proto. The last value of a change is the planned one, after the prior one if there is
// one.
const (
	fieldResourceChanges, fieldChange, fieldAction, fieldValues, fieldMsgpack = 3, 9, 1, 2, 1
	fieldPrivate                                                              = 10
	actionNoop, actionDelete                                                  = 0, 5
)

// plannedValues returns the planned values of the plan's changes, in msgpack.
func plannedValues(plan []byte) [][]byte {
	var planned [][]byte
	for _, resource := range members(plan, fieldResourceChanges) {
		for _, change := range members(resource, fieldChange) {
			action := number(change, fieldAction)
			values := members(change, fieldValues)
			if action == actionNoop || action == actionDelete || len(values) == 0 {
				continue
			}
			planned = append(planned, members(values[len(values)-1], fieldMsgpack)...)
		}
	}
	return planned
}

// destroyedData returns the private data of the plan's destroys.
func destroyedData(plan []byte) [][]byte {
	var data [][]byte
	for _, resource := range members(plan, fieldResourceChanges) {
		for _, change := range members(resource, fieldChange) {
			if number(change, fieldAction) == actionDelete {
				data = append(data, members(resource, fieldPrivate)...)
			}
		}
	}
	return data
}

// members returns the values of a field with bytes.
func members(message []byte, field protowire.Number) [][]byte {
	var found [][]byte
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return found
		}
		message = message[size:]
		if n == field && kind == protowire.BytesType {
			value, size := protowire.ConsumeBytes(message)
			if size < 0 {
				return found
			}
			found, message = append(found, value), message[size:]
			continue
		}
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return found
		}
		message = message[size:]
	}
	return found
}

// number returns the value of a field with a number, or zero.
func number(message []byte, field protowire.Number) uint64 {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return 0
		}
		message = message[size:]
		if n == field && kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(message)
			return value
		}
		if size = protowire.ConsumeFieldValue(n, kind, message); size < 0 {
			return 0
		}
		message = message[size:]
	}
	return 0
}
