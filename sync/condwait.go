package sync

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/spin"
)

// noRoom is how long a Wait lasts in a process that has no cell.
const noRoom = 10 * time.Millisecond

// condBudget is how long it pays to look for a signal before sleeping.
var condBudget spin.Budget

// wait is steps 1 to 9. Whatever it returns, l is held.
func (c *Cond) wait(ctx context.Context, l CondLocker) error {
	word, depth := l.held("Wait")
	p := c.announce(roster.Me())
	probe.At(probe.Cond272)
	deep := unlockAll(l, depth)
	if p != nil {
		p.await(ctx, word)
	} else {
		select {
		case <-time.After(noRoom):
		case <-ctx.Done():
		}
	}
	probe.At(probe.Cond276)
	err := l.LockContext(context.Background())
	granted := false
	if p != nil {
		granted = p.settle()
	}
	probe.At(probe.Cond278)
	if depth != nil {
		*depth = deep
	}
	switch {
	case err != nil: // a holder died: nothing else keeps a member of the roster from the lock
		probe.At(probe.Cond279)
		c.Broadcast()
		return err
	case granted:
		return nil
	}
	return ctx.Err()
}

// unlockAll releases l, and returns how deep it was locked.
func unlockAll(l CondLocker, depth *uint32) (deep uint32) {
	if depth != nil {
		deep, *depth = *depth, 1
	}
	l.Unlock()
	return deep
}

// announce is step 1. It returns nil if there is no room for this waiter.
func (c *Cond) announce(me roster.ID) *condPlace {
	if own := ownCell(c.cells[:], me, 0); own == nil || countOf(own.Load()) == 0 {
		for i := range c.cells { // makes room; and what the dead were given is not for one who comes later
			c.void(&c.cells[i], me)
		}
	}
	for {
		cell := c.join(me)
		if cell == nil {
			return nil
		}
		w := cell.Load()
		if ownerOf(w) != me {
			continue // it was idle, and another process has claimed it
		}
		if waitingOf(w) == math.MaxUint16 {
			return nil
		}
		probe.At(probe.Cond271)
		if cell.CompareAndSwap(w, w+condWaiting) {
			return newCondPlace(c, cell)
		}
	}
}

// await is steps 3 to 5. It returns when the lock must be taken.
func (p *condPlace) await(ctx context.Context, word *atomic.Uint64) {
	select {
	case <-p.turn:
	case <-ctx.Done():
		p.giveUp()
		return
	}
	granted := func() bool {
		_, _, granted := p.look()
		return granted
	}
	if !granted() && !condBudget.Until(granted) {
		p.watch(ctx, word)
	}
}

// watch is await for the watcher, once it is to sleep.
func (p *condPlace) watch(ctx context.Context, word *atomic.Uint64) {
	c, me := p.cond, roster.Me()
	s := await.New(ctx)
	defer s.Stop()
	var others []roster.Sight // whose deaths would change something
	for {
		members := c.members.Load()
		probe.At(probe.Cond273)
		others = others[:0]
		for i := range c.cells {
			if owner := c.void(&c.cells[i], me); owner.Alive {
				others = append(others, owner)
			}
		}
		probe.At(probe.Cond274)
		count, settled, granted := p.look()
		if granted {
			return
		}
		w := word.Load()
		holder := roster.Look(ownerOf(w))
		if w&wordA != 0 || ownerOf(w) != 0 && !holder.Alive || ctx.Err() != nil {
			p.giveUp()
			return
		}
		if holder.Alive {
			others = append(others, holder)
		}
		s.Watch(highHalf(p.cell), count)
		s.Watch(&p.line.settled, settled)
		s.Watch(&c.members, members)
		for _, other := range others {
			s.WatchLife(other)
		}
		probe.At(probe.Cond275)
		s.Sleep(idle(s))
		s.PassOn()
	}
}
