package elastic

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// freshFor is how long metadata from a bulk read is reused. It covers a plan of a thousand resources with one or two
// reads. Changes name concrete indices, so an index that was deleted in the meantime causes an error and can't be
// confused with another.
const freshFor = 30 * time.Second

// cached keeps a value for freshFor, and lets concurrent callers share one read. The zero value is ready for use.
type cached[T any] struct {
	mu     sync.Mutex
	value  T
	until  time.Time
	flight singleflight.Group
}

// get returns the value. If it is older than freshFor, get reads it again first.
func (c *cached[T]) get(ctx context.Context, clk clock.Clock, read func(context.Context) (T, error)) (T, error) {
	for {
		c.mu.Lock()
		value, until := c.value, c.until
		c.mu.Unlock()
		if clk.Now().Before(until) {
			return value, nil
		}
		v, err, shared := c.flight.Do("", func() (any, error) {
			value, err := read(ctx)
			if err == nil {
				c.mu.Lock()
				c.value, c.until = value, clk.Now().Add(freshFor)
				c.mu.Unlock()
			}
			return value, err
		})
		// The shared read ended with the context of the caller that had started it. Read again.
		if err != nil && shared && ctx.Err() == nil && (errors.Is(err, context.Canceled) ||
			errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		value, _ = v.(T)
		return value, err
	}
}

// last returns the value that was read last, which may be old, unless it was forgotten.
func (c *cached[T]) last() (value T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, !c.until.IsZero()
}

// forget makes the next get read again.
func (c *cached[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}
