package clock

import (
	"context"
	"time"
)

// Poll calls check until it reports that it is done or returns an error. Between two calls it sleeps for pause, which
// receives the time since Poll began. It returns the error from check, or the context's cause if ctx ends.
func Poll(ctx context.Context, clk Clock, pause func(elapsed time.Duration) time.Duration,
	check func(elapsed time.Duration) (done bool, err error)) error {
	began := clk.Now()
	for {
		done, err := check(clk.Now().Sub(began))
		if done || err != nil {
			return err
		}
		if err := clk.Sleep(ctx, pause(clk.Now().Sub(began))); err != nil {
			return err
		}
	}
}

// Every returns a constant pause for Poll.
func Every(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}
