package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// chainDomain separates these hashes from all other hashes of the provider.
const chainDomain = "remediation journal entry v1\n"

// Seal chains e to the previous entry, whose hash is prev (empty for the first entry). It sets Hash to the SHA-256, in
// hexadecimal, of the domain line and the entry as JSON with Hash empty. The chain breaks at an entry that was edited,
// removed or moved.
func Seal(e Entry, prev string) (Entry, error) {
	e.Prev, e.Hash = prev, ""
	text, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("seal entry: %w", err)
	}
	sum := sha256.Sum256(append([]byte(chainDomain), text...))
	e.Hash = hex.EncodeToString(sum[:])
	return e, nil
}
