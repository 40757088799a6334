package elastic

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
)

// freshFor is how long metadata that was read in bulk answers further questions. It covers a plan of a thousand
// resources in one or two readings; what is executed names concrete indices, so that one which has gone in the meantime
// is an error and not another index.
const freshFor = 30 * time.Second

// cached is a value that many ask for at once. The zero value is ready for use.
type cached[T any] struct {
	mu     sync.Mutex
	value  T
	until  time.Time
	flight singleflight.Group
}

// get returns the value, read at most freshFor ago.
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
		// Somebody else's reading ended because their context did: read for ourselves.
		if err != nil && shared && ctx.Err() == nil && (errors.Is(err, context.Canceled) ||
			errors.Is(err, context.DeadlineExceeded)) {
			continue
		}
		value, _ = v.(T)
		return value, err
	}
}

// forget makes the next get read anew.
func (c *cached[T]) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
}
