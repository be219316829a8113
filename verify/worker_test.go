package verify

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// worker is one process of a round; its arguments are its number, a seed, and the
// first of the objects that it uses.
var worker = proctest.Register("worker", func(h *proctest.Helper) error {
	seg, err := shm.Attach(h.Files[0])
	if err != nil {
		return err
	}
	a, err := shm.Place[arena](seg, 0)
	if err != nil {
		return err
	}
	process, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(h.Args[1], 10, 64)
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(h.Args[2])
	if err != nil {
		return err
	}
	h.Ready()
	var group sync.WaitGroup
	for g := range goroutines {
		number := process*goroutines + g
		c := &client{arena: a, first: object(first), log: a.Logs[number][:], random: rand.New(rand.NewPCG(seed, uint64(number)))}
		group.Go(c.run)
	}
	group.Wait()
	return nil
})

// A client is one goroutine that does this and that with two objects.
type client struct {
	*arena
	first  object
	log    []entry
	random *rand.Rand
	depth  [together]int  // how often it holds each
	n      [together]int  // what it wants or holds of it: see call
	told   [together]bool // it was told of a death and has not marked the lock
}

func (c *client) run() {
	for range operations {
		which := c.random.IntN(together)
		switch {
		case c.depth[which] == 0:
			c.take(which, c.depth[1-which] > 0)
		case c.told[which] && c.chance(60):
			c.do(which, mark)
		case c.first+object(which) == rmutex && c.depth[which] < deepest && c.chance(40):
			c.take(which, true)
		default:
			c.do(which, unlock)
		}
		c.pause()
	}
	for which := range c.depth {
		for c.depth[which] > 0 {
			c.do(which, unlock)
		}
	}
}

func (c *client) chance(percent int) bool { return c.random.IntN(100) < percent }

// take takes an object in one of the ways. Who holds another does not wait for
// ever: two might wait for each other.
func (c *client) take(which int, careful bool) {
	ways := []kind{lock, lock, lockContext, lockContext, tryLock, lockEnded}
	if careful {
		ways = ways[2:]
	}
	switch c.first + object(which) {
	case rwmutex:
		c.n[which] = c.random.IntN(2)
	case bounded:
		c.n[which] = 1 + c.random.IntN(permits)
	}
	c.do(which, ways[c.random.IntN(len(ways))])
}

// pause holds what it has, or keeps from it, for a while: most often none, seldom
// longer than others wait before the lock is kept for them.
func (c *client) pause() {
	var d time.Duration
	switch n := c.random.IntN(100); {
	case n < 60:
		return
	case n < 97:
		d = time.Duration(c.random.IntN(100)) * time.Microsecond
	default:
		d = 3 * time.Millisecond
	}
	for begin := time.Now(); time.Since(begin) < d; {
		runtime.Gosched()
	}
}

// do does one operation and records it.
func (c *client) do(which int, k kind) {
	o, n := c.first+object(which), c.n[which]
	l := c.lock(o, n)
	ctx, cancel := c.context(k, c.depth[0]+c.depth[1] > 0)
	defer cancel()
	e := &c.log[0]
	c.log = c.log[1:]
	e.Kind, e.Object, e.N = k, o, uint8(n)
	e.Call.Store(now())
	went, dead := perform(l, k, ctx)
	e.Outcome, e.Dead = went, int32(dead)
	e.Return.Store(now())

	switch {
	case k.takes() && (went == ok || went == died && n == 0):
		c.depth[which]++
		c.told[which] = c.told[which] || went == died
	case k == mark:
		c.told[which] = false
	case k == unlock:
		if c.depth[which]--; c.depth[which] == 0 {
			c.told[which] = false
		}
	}
}

// context returns the one for LockContext. Half of those who hold nothing wait
// for as long as it takes.
func (c *client) context(k kind, careful bool) (context.Context, context.CancelFunc) {
	switch {
	case k == lockEnded:
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx, cancel
	case k == lockContext && (careful || c.chance(50)):
		return context.WithTimeout(context.Background(), time.Duration(c.random.IntN(2000))*time.Microsecond)
	}
	return context.Background(), func() {}
}

func perform(l psync.Locker, k kind, ctx context.Context) (o outcome, dead int) {
	switch k {
	case lock:
		defer func() {
			if v := recover(); v != nil {
				o, dead = panicked, v.(*psync.OwnerDiedError).Pid
			}
		}()
		l.Lock()
	case tryLock:
		if !l.TryLock() {
			return no, 0
		}
	case unlock:
		l.Unlock()
	case mark:
		l.MarkConsistent()
	default:
		err := l.LockContext(ctx)
		var owner *psync.OwnerDiedError
		switch {
		case errors.As(err, &owner):
			return died, owner.Pid
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return cancelled, 0
		case err != nil:
			panic(err)
		}
	}
	return ok, 0
}
