package elastic

import (
	"fmt"
	"strings"
)

// Names writes the names of indices for people: one, or how many and the first few.
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

// Bytes writes a size in bytes for people.
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
