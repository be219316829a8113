package sync

import (
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// sleep is step 7: it returns when the word differs from val, when the process
// in the way has died, when the context has ended, after the bound, or for no
// reason. Every return may have consumed a wake.
//
// Only an heir watches the upper half, so that its wake reaches nobody else, and
// it queues there first: an unlock changes the lower half and then wakes the
// upper. Queued on the lower half alone, the heir would miss that wake, find
// the upper half unchanged, and sleep.
func sleep(s *await.Sleeper, word *atomic.Uint64, val uint64, heir bool, blocker roster.Sight, bound time.Duration) {
	if heir {
		s.Watch(highHalf(word), uint32(val>>heirShift))
	}
	s.Watch(lowHalf(word), uint32(val))
	s.WatchLife(blocker)
	s.Sleep(bound)
}
