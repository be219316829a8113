//go:build stress

package sync_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// A campaign is rounds. In each, several goroutines of several processes use one
// primitive as fast as they can, until one of the processes is killed at a random
// instant. The goroutines of the others must go on, every single one. Then all
// leave the round; it is quiet, the account of the primitive is exact, and must be
// right. Before the next round a new process takes the dead one's place.
const (
	places       = 4                     // processes at a time
	lanesOfPlace = 2                     // goroutines of each
	lanes        = places * lanesOfPlace // numbered through all processes
	glance       = 50 * time.Microsecond // between two looks of one who waits for others
)

// A target is a primitive under fire. It lies in shared memory, with what its users
// keep to see that it is right. join and step are called by its users, all else by the
// test.
type target interface {
	// setUp makes it ready for use.
	setUp() error
	// join is called by each process before its first round.
	join() error
	// step is one use of it. A lane that gets errLeave leaves the round at once.
	step(lane int, round int64) error
	// end lets those go who still wait, when the round is over. It is called again
	// and again, until all have left, and is told who has already.
	end(round int64, left func(lane int) bool)
	// settle closes the account of a round, when nobody uses it and the process in
	// one place is dead.
	settle(t *testing.T, round int64, dead int)
	// report says in figures what it came to.
	report() string
	// mayWait says that a lane of a process that lives need not go on before the end.
	mayWait(lane int, round int64) bool
	// doom is called before the process in a place is killed.
	doom(place int)
}

// calm does nothing where a target has nothing to do.
type calm struct{}

func (calm) join() error               { return nil }
func (calm) end(int64, func(int) bool) {}
func (calm) mayWait(int, int64) bool   { return false }
func (calm) doom(int)                  {}

// errLeave says that a lane has nothing more to do in a round.
var errLeave = errors.New("nothing more to do in this round")

// A battlefield is the shared memory of a campaign, one target of which is in use.
type battlefield struct {
	Round atomic.Int64 // the one that has begun last
	Over  atomic.Int64 // and the one that has ended last
	Wrong atomic.Bool  // somebody saw what must not be
	Steps [lanes]atomic.Int64
	Left  [lanes]atomic.Int64 // the round that a lane has left last

	RWMutex          rwTarget
	Semaphore        semaphoreTarget
	BoundedSemaphore boundedTarget
	Cond             condTarget
	Event            eventTarget
	Barrier          barrierTarget
	Once             onceTarget
	WaitGroup        groupTarget
}

var targetNames = []string{"RWMutex", "Semaphore", "BoundedSemaphore", "Cond", "Event", "Barrier", "Once", "WaitGroup"}

func (b *battlefield) target(name string) target {
	return map[string]target{
		"RWMutex": &b.RWMutex, "Semaphore": &b.Semaphore, "BoundedSemaphore": &b.BoundedSemaphore, "Cond": &b.Cond,
		"Event": &b.Event, "Barrier": &b.Barrier, "Once": &b.Once, "WaitGroup": &b.WaitGroup,
	}[name]
}

func placeOf(lane int) int { return lane / lanesOfPlace }

// user is one process of a campaign; its arguments are the target and its place.
var user = proctest.Register("user under fire", func(h *proctest.Helper) error {
	b, err := enter[battlefield](h)
	if err != nil {
		return err
	}
	place, err := strconv.Atoi(h.Args[1])
	if err != nil {
		return err
	}
	target := b.target(h.Args[0])
	if err := target.join(); err != nil {
		return err
	}
	h.Ready()
	first := b.Round.Load() + 1
	h.Say("in")
	var all sync.WaitGroup
	for i := range lanesOfPlace {
		all.Go(func() {
			if err := b.use(target, place*lanesOfPlace+i, first); err != nil {
				fmt.Fprintf(os.Stderr, "%s, lane %d, pid %d: %v\n", h.Args[0], place*lanesOfPlace+i, os.Getpid(), err)
				b.Wrong.Store(true)
			}
		})
	}
	all.Wait()
	return nil
})

// use takes part in one round after the other.
func (b *battlefield) use(target target, lane int, round int64) error {
	for ; ; round++ {
		for b.Round.Load() < round {
			<-time.After(glance)
		}
		for b.Over.Load() < round {
			err := target.step(lane, round)
			if errors.Is(err, errLeave) {
				break
			}
			if err != nil {
				return err
			}
			b.Steps[lane].Add(1)
		}
		b.Left[lane].Store(round)
	}
}

// dawdle passes some time in two of so many cases, and none in the others.
func dawdle(of int) {
	switch rand.IntN(of) {
	case 0:
		runtime.Gosched()
	case 1:
		spin(10_000)
	}
}

// spin counts to a random number below most: some microseconds to 10,000.
func spin(most int) {
	for n := rand.IntN(most); n > 0; n-- {
		runtime.KeepAlive(n)
	}
}

// hasty returns a context that ends soon in one of four cases, else never.
func hasty() (context.Context, context.CancelFunc) {
	if rand.IntN(4) > 0 {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), rand.N(200*time.Microsecond))
}
