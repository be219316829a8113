package chunk

import (
	"time"

	"golang.org/x/sys/unix"
)

// epoch is a moment on both clocks: CLOCK_MONOTONIC, which all processes share,
// and Go's, which is the same one, is read without a system call, and does not
// show its value.
var epoch, shared = func() (time.Time, time.Duration) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("chunk: clock_gettime: " + err.Error()) // cannot happen: the clock always exists
	}
	return time.Now(), time.Duration(ts.Nano())
}()

// Now returns the time on CLOCK_MONOTONIC, right to a few microseconds between
// processes.
func Now() time.Duration { return shared + time.Since(epoch) }
