package elastic

import (
	"fmt"
	"strings"
)

// Names formats the names of indices for messages: a single name, or the number of names and the first few.
func Names(indices []string) string {
	const shown = 5
	switch {
	case len(indices) == 1:
		return indices[0]
	case len(indices) <= shown:
		return fmt.Sprintf("%d indices (%s)", len(indices), strings.Join(indices, ", "))
	default:
		return fmt.Sprintf("%d indices (%s, ...)", len(indices), strings.Join(indices[:shown], ", "))
	}
}

// Bytes formats a size in bytes for messages.
func Bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	for ; size >= unit && len(names) > 1; names = names[1:] {
		size /= unit
	}
	return fmt.Sprintf("%.1f %s", size, names[0])
}
