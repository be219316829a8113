//go:build stress

package sync_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	psync "github.com/go-multiproc/multiproc/sync"
)

// A boundedTarget is a BoundedSemaphore, and how many permits each process has.
type boundedTarget struct {
	calm
	S      psync.BoundedSemaphore
	Inside census
}

const boundedPermits = 3

func (b *boundedTarget) setUp() error   { return b.S.Init(boundedPermits) }
func (b *boundedTarget) doom(place int) { b.Inside.doom(place) }

func (b *boundedTarget) step(lane int, _ int64) error {
	ctx, cancel := hasty()
	defer cancel()
	n := 1 + rand.IntN(boundedPermits)
	if rand.IntN(4) == 0 {
		if !b.S.TryAcquire(n) {
			return nil
		}
	} else if err := b.S.Acquire(ctx, n); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if sum := b.Inside.enter(placeOf(lane), n); sum > boundedPermits {
		return fmt.Errorf("%d permits are in use", sum)
	}
	dawdle(8)
	b.Inside.leave(placeOf(lane), n)
	return b.S.Release(n)
}

// settle finds all permits there: those of the dead have come back.
func (b *boundedTarget) settle(t *testing.T, _ int64, dead int) {
	require.Equal(t, boundedPermits, b.S.Value())
	require.NoError(t, b.S.Acquire(within(t), boundedPermits))
	require.False(t, b.S.TryAcquire(1))
	require.NoError(t, b.S.Release(boundedPermits))
	b.Inside.forget(dead)
	require.Zero(t, b.Inside.word.Load())
}

func (b *boundedTarget) report() string {
	return fmt.Sprintf("never more than %d permits in use, and all there in the end", boundedPermits)
}

// A semaphoreTarget is a Semaphore, whose permits go with those who have them. So many
// are there that the others can go on with the rest; the test puts the lost ones back
// when all is quiet, and knows how many there must be: each lane says what it does.
type semaphoreTarget struct {
	calm
	S      psync.Semaphore
	Inside census
	Has    [lanes]atomic.Int64
	Takes  [lanes]atomic.Int64 // or gives: it may have so many
	Lost   atomic.Int64
}

const (
	mostAtOnce       = 2
	semaphorePermits = mostAtOnce + lanesOfPlace*mostAtOnce
)

func (s *semaphoreTarget) setUp() error   { return s.S.Init(semaphorePermits, semaphorePermits) }
func (s *semaphoreTarget) doom(place int) { s.Inside.doom(place) }

func (s *semaphoreTarget) step(lane int, _ int64) error {
	ctx, cancel := hasty()
	defer cancel()
	n := 1 + rand.IntN(mostAtOnce)
	s.Takes[lane].Store(int64(n))
	defer s.Takes[lane].Store(0)
	if rand.IntN(4) == 0 {
		if !s.S.TryAcquire(n) {
			return nil
		}
	} else if err := s.S.Acquire(ctx, n); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	s.Has[lane].Store(int64(n))
	if sum := s.Inside.enter(placeOf(lane), n); sum > semaphorePermits {
		return fmt.Errorf("%d permits are in use", sum)
	}
	dawdle(8)
	s.Inside.leave(placeOf(lane), n)
	s.Has[lane].Store(0)
	return s.S.Release(n)
}

func (s *semaphoreTarget) settle(t *testing.T, _ int64, dead int) {
	surely, perhaps := int64(0), int64(0)
	for lane := range lanes {
		if placeOf(lane) == dead {
			surely += s.Has[lane].Swap(0)
			perhaps += s.Takes[lane].Swap(0)
		}
	}
	lost := semaphorePermits - s.S.Value()
	require.GreaterOrEqual(t, int64(lost), surely)
	require.LessOrEqual(t, int64(lost), perhaps, "more permits are gone than the dead process could have")
	s.Lost.Add(int64(lost))
	require.NoError(t, s.S.Release(lost))
	require.ErrorIs(t, s.S.Release(1), psync.ErrTooMany)
	require.NoError(t, s.S.Acquire(within(t), semaphorePermits))
	require.False(t, s.S.TryAcquire(1))
	require.NoError(t, s.S.Release(semaphorePermits))
	s.Inside.forget(dead)
	require.Zero(t, s.Inside.word.Load())
}

func (s *semaphoreTarget) report() string {
	return fmt.Sprintf("never more than %d permits in use; %d died with those who had them, and no others", semaphorePermits, s.Lost.Load())
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
