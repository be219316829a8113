package await

import (
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/roster"
)

// A Source is something that many can be waited for at once: a queue, a pipe, an
// event, a process, a descriptor.
type Source interface {
	// Await tells the list what to watch, and then looks. It reports whether
	// the source is ready: whether an operation on it would not wait. The order
	// matters: what changes after the look must end the sleep.
	Await(list *List) (ready bool)
}

// A List is what one sleep for many sources watches.
type List struct {
	words       []word
	lives       []roster.Sight
	descriptors []Descriptor
	bound       time.Duration // 0: none
}

type word struct {
	at  *atomic.Uint32
	val uint32
}

// A Descriptor is a file descriptor and the events of poll(2) that make it
// ready.
type Descriptor struct {
	FD     int
	Events int16
}

// Watch ends the sleep when at differs from val.
func (l *List) Watch(at *atomic.Uint32, val uint32) bool {
	l.words = append(l.words, word{at, val})
	return true
}

// WatchLife ends the sleep when the process of a sight dies.
func (l *List) WatchLife(life roster.Sight) bool {
	l.lives = append(l.lives, life)
	return true
}

// WatchDescriptor ends the sleep when poll(2) finds the descriptor ready. It must stay
// open while the wait lasts.
func (l *List) WatchDescriptor(d Descriptor) { l.descriptors = append(l.descriptors, d) }

// Bound makes the sleep end after at most d.
func (l *List) Bound(d time.Duration) {
	if l.bound == 0 || d < l.bound {
		l.bound = d
	}
}
