// Command later is the released provider with a clock that is ahead of the machine's, for tests of what a later plan
// shows.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/applylens/terraform-provider-remediation/internal/clock"
	"github.com/applylens/terraform-provider-remediation/internal/provider"
)

// envAhead is how far the clock is ahead, such as 10m.
const envAhead = "REMEDIATION_TEST_AHEAD"

func main() {
	ahead, err := time.ParseDuration(os.Getenv(envAhead))
	if err != nil {
		log.Fatal(err)
	}
	options := provider.Options{Version: "later", Clock: later{by: ahead}}
	if err := provider.Serve(context.Background(), options); err != nil {
		log.Fatal(err)
	}
}

// later is the machine's clock, ahead by a duration.
type later struct {
	clock.System
	by time.Duration
}

// Now implements clock.Clock.
func (c later) Now() time.Time { return c.System.Now().Add(c.by) }
