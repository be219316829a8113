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

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
)

// A campaign is rounds. In each, several goroutines of several processes use one
// primitive as fast as they can, until one of the processes is killed at a random
// instant. The goroutines of the others must go on, every single one. Then all
// leave the round; it is quiet, the account of the primitive is exact, and must be
// right. Before the next round a new process takes the dead one's place.
const (
	places       = 4                       // processes at a time
	lanesOfPlace = 2                       // goroutines of each
	lanes        = places * lanesOfPlace   // numbered through all processes
	enough       = 20                      // steps of each lane after a kill
	together     = 50                      // rounds whose helpers are cleaned up together
	patient      = time.Minute             // after which nothing moves any more
	glance       = 50 * time.Microsecond   // between two looks of one who waits for others
	latest       = 1500 * time.Microsecond // when somebody is killed after the round has begun
)

// A target is a primitive under fire. It lies in shared memory, with what its users
// keep to see that it is right. step and end are the users', the others the test's.
type target interface {
	// setUp makes it ready for use.
	setUp() error
	// join is called by each process before its first round.
	join() error
	// step is one use of it. A lane that gets errLeave leaves the round at once.
	step(lane int, round int64) error
	// end lets those go who still wait, when the round is over. It is called again
	// and again, until all have left; who has left already is known.
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

// TestStressRandomKills kills processes at random instants in the midst of using
// each primitive; the kills are divided among these. There are 200, or as many as make
// stress was told.
func TestStressRandomKills(t *testing.T) {
	kills := 200
	if n := os.Getenv("MULTIPROC_KILLS"); n != "" {
		var err error
		kills, err = strconv.Atoi(n)
		require.NoError(t, err)
	}
	for _, name := range targetNames {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			seg, err := shm.Create("battlefield", 1<<17)
			require.NoError(t, err)
			defer func() { require.NoError(t, seg.Close()) }()
			b, err := shm.Place[battlefield](seg, 0)
			require.NoError(t, err)
			target := b.target(name)
			require.NoError(t, target.setUp())
			killed, share := 0, max(kills/len(targetNames), 10)
			for killed < share && !t.Failed() {
				t.Run(fmt.Sprint(killed), func(t *testing.T) { // whose end closes the pipes of its helpers
					c := campaign{battlefield: b, target: target, name: name, file: seg.File()}
					for place := range places {
						c.send(t, place)
					}
					for n := min(together, share-killed); n > 0; n-- {
						c.round(t, n > 1)
						killed++
					}
				})
			}
			steps := int64(0)
			for lane := range b.Steps {
				steps += b.Steps[lane].Load()
			}
			proctest.Verified(t, "stress", name+", processes killed at random instants",
				"%d kills among %d processes with %d goroutines each; %d uses; %s; nobody hung", killed, places, lanesOfPlace, steps, target.report())
		})
	}
}

// A campaign is the test's side of it.
type campaign struct {
	*battlefield
	target target
	name   string
	file   *os.File
	procs  [places]*proctest.Proc
}

// send starts the process in a place, which waits for the next round.
func (c *campaign) send(t *testing.T, place int) {
	c.procs[place] = user.Start(t, []*os.File{c.file}, c.name, strconv.Itoa(place))
	proctest.Gate(t, c.procs[place])
	c.procs[place].Expect(t, "in")
}

// round is one kill, and a successor unless it was the last.
func (c *campaign) round(t *testing.T, successor bool) {
	victim := rand.IntN(places)
	round := c.Round.Add(1)
	atRandom()
	c.target.doom(victim)
	c.procs[victim].Kill(t)

	var before [lanes]int64
	for lane := range before {
		before[lane] = c.Steps[lane].Load()
	}
	left := func(lane int) bool { return placeOf(lane) == victim || c.Left[lane].Load() == round }
	c.await(t, victim, "go on", func(lane int) bool {
		return left(lane) || c.target.mayWait(lane, round) || c.Steps[lane].Load() >= before[lane]+enough
	})
	c.Over.Store(round)
	c.await(t, victim, "leave the round", func(lane int) bool {
		c.target.end(round, left)
		return left(lane)
	})
	c.target.settle(t, round, victim)
	if successor {
		c.send(t, victim)
	}
}

// atRandom returns at a random instant: most often when the round is in full swing,
// and now and then when the newcomer has just begun.
func atRandom() {
	if rand.IntN(4) > 0 {
		<-time.After(rand.N(latest))
	}
	spin(50_000)
}

// await returns when something is so for all lanes.
func (c *campaign) await(t *testing.T, victim int, what string, done func(lane int) bool) {
	t.Helper()
	begin := time.Now()
	for lane := 0; lane < lanes; {
		if done(lane) {
			lane++
			continue
		}
		switch {
		case c.Wrong.Load():
			t.Fatalf("round %d, after the death of process %d: somebody saw what must not be", c.Round.Load(), victim)
		case time.Since(begin) > patient:
			for place, p := range c.procs {
				if place != victim {
					_ = p.Signal(unix.SIGQUIT) // for its stacks
					_ = p.Wait(t)
				}
			}
			t.Fatalf("round %d, after the death of process %d: lane %d does not %s", c.Round.Load(), victim, lane, what)
		}
		<-time.After(glance)
	}
}

// A census is how much each process has of something: 16 bits each, so that one
// load shows them all at the same time.
type census struct{ word atomic.Uint64 }

const (
	censusBits   = 16
	censusDoomed = 1 << (censusBits - 1) // the process is dead, or about to die: what it has may be somebody else's already
)

// enter counts n more for a process, and returns how much those have in all that are not
// doomed.
func (c *census) enter(place, n int) (sum int) {
	now := c.word.Add(uint64(n) << (place * censusBits))
	for ; now != 0; now >>= censusBits {
		if now&censusDoomed == 0 {
			sum += int(now & (censusDoomed - 1))
		}
	}
	return sum
}

func (c *census) leave(place, n int) { c.word.Add(-(uint64(n) << (place * censusBits))) }

// doom is called before a process is killed, forget before it has a successor.
func (c *census) doom(place int)   { c.word.Or(censusDoomed << (place * censusBits)) }
func (c *census) forget(place int) { c.word.And(^(uint64(1<<censusBits-1) << (place * censusBits))) }

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

// within is a context for what must be possible when all is quiet.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	t.Cleanup(cancel)
	return ctx
}
