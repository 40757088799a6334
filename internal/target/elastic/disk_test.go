package elastic

import "testing"

func TestReservedDisk(t *testing.T) {
	t.Parallel()
	const gib, total = 1 << 30, 1000 << 30
	for name, c := range map[string]struct {
		mark watermark
		want int64
	}{
		"percentage":    {watermark{true, "85%", ""}, 150 * gib},
		"with headroom": {watermark{true, "85%", "100GB"}, 100 * gib},
		"no headroom":   {watermark{true, "85%", "-1"}, 150 * gib},
		"ratio":         {watermark{true, "0.75", "-1"}, 250 * gib},
		"bytes":         {watermark{true, "20gb", ""}, 20 * gib},
		"off":           {watermark{false, "85%", ""}, 0},
	} {
		// A fraction of a total is not exact in floating point.
		if got := c.mark.reserved(total); got < c.want-1 || got > c.want+1 {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
