//go:build stress

package sync_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
)

const (
	enough   = 20                      // steps of each lane after a kill
	together = 50                      // rounds whose helpers are cleaned up together
	patient  = time.Minute             // after which nothing moves any more
	latest   = 1500 * time.Microsecond // after a round has begun somebody is killed
)

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

// within is a context for what must be possible when all is quiet.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	t.Cleanup(cancel)
	return ctx
}
