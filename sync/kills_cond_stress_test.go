//go:build stress

package sync_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	psync "github.com/go-multiproc/multiproc/sync"
)

// A condTarget is a place for one item, which producers fill and consumers empty: a
// signal that is lost leaves both asleep. There are two of them, one with each kind
// of lock, which take turns.
type condTarget struct {
	calm
	Mutex  psync.Mutex
	RMutex psync.RMutex
	Shops  [2]shop
}

type shop struct {
	NotEmpty, NotFull psync.Cond
	Put, Got          int64 // so many items were
	Item              int64 // its number; of no account if all were got
	Shut              int64 // the last round in which nobody waits any more
	Told              atomic.Int64
}

func (c *condTarget) setUp() error { return nil }

func (c *condTarget) in(round int64) (*shop, psync.CondLocker) {
	if round%2 == 0 {
		return &c.Shops[0], &c.Mutex
	}
	return &c.Shops[1], &c.RMutex
}

func (c *condTarget) step(lane int, round int64) error {
	s, l := c.in(round)
	s.lock(l)
	defer l.Unlock()
	if placeOf(lane)%2 == 0 {
		return s.put(l, round)
	}
	return s.get(l, round)
}

func (s *shop) lock(l psync.CondLocker) {
	if err := l.LockContext(context.Background()); err != nil {
		s.repair(l)
	}
}

// repair makes good what a dead one left: it may have owed a signal.
func (s *shop) repair(l psync.CondLocker) {
	s.Told.Add(1)
	s.NotEmpty.Broadcast()
	s.NotFull.Broadcast()
	l.MarkConsistent()
}

// wait reports whether it is so, before the round ends and before it has had enough.
func (s *shop) wait(c *psync.Cond, l psync.CondLocker, round int64, so func() bool) (bool, error) {
	ctx, cancel := hasty()
	defer cancel()
	for {
		_, err := c.WaitFor(ctx, l, func() bool { return so() || s.Shut >= round })
		switch {
		case errors.Is(err, psync.ErrOwnerDied):
			s.repair(l)
		case err != nil && ctx.Err() == nil:
			return false, err
		default:
			return so(), nil
		}
	}
}

func (s *shop) put(l psync.CondLocker, round int64) error {
	room, err := s.wait(&s.NotFull, l, round, func() bool { return s.Put == s.Got })
	if !room {
		return err
	}
	s.Item = s.Put + 1
	dawdle(4)
	s.Put++
	s.NotEmpty.Signal()
	return nil
}

func (s *shop) get(l psync.CondLocker, round int64) error {
	there, err := s.wait(&s.NotEmpty, l, round, func() bool { return s.Put != s.Got })
	if !there {
		return err
	}
	if s.Item != s.Got+1 {
		return fmt.Errorf("item %d was got after %d", s.Item, s.Got)
	}
	s.Got++
	dawdle(4)
	s.NotFull.Signal()
	return nil
}

func (c *condTarget) end(round int64, _ func(int) bool) {
	s, l := c.in(round)
	s.lock(l)
	s.Shut = round
	s.NotEmpty.Broadcast()
	s.NotFull.Broadcast()
	l.Unlock()
}

func (c *condTarget) settle(t *testing.T, round int64, _ int) {
	s, l := c.in(round)
	require.True(t, l.TryLock())
	require.Contains(t, []int64{s.Got, s.Got + 1}, s.Put)
	for _, c := range []*psync.Cond{&s.NotEmpty, &s.NotFull} {
		_ = c.WaitContext(ended(), l) // it looks for the dead
		for i := range memoryOf(c).cells {
			require.Zero(t, memoryOf(c).cells[i].Load()>>32)
		}
	}
	l.Unlock()
}

func (c *condTarget) report() string {
	return fmt.Sprintf("%d items with a Mutex and %d with an RMutex, each once and in order; %d deaths told",
		c.Shops[0].Got, c.Shops[1].Got, c.Shops[0].Told.Load()+c.Shops[1].Told.Load())
}
