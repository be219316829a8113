//go:build stress

package sync_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	psync "github.com/go-multiproc/multiproc/sync"
)

// An rwTarget is an RWMutex and what it guards: two numbers, which are the sum of all
// writes. A write is done once its lane has counted it; who is told of a death
// undoes what was not.
type rwTarget struct {
	calm
	rwScene
	Writes   [lanes]int64
	Finished [lanes]int64 // as Writes, counted by one who has let go
	Told     atomic.Int64
}

func (r *rwTarget) setUp() error { return nil }

func (r *rwTarget) sum() (n int64) {
	for _, writes := range r.Writes {
		n += writes
	}
	return n
}

// whole is what one who has the lock for writing must find.
func (r *rwTarget) whole() error {
	if sum := r.sum(); r.A != sum || r.B != sum {
		return fmt.Errorf("of %d writes it finds %d and %d", sum, r.A, r.B)
	}
	return nil
}

func (r *rwTarget) step(lane int, _ int64) error {
	ctx, cancel := hasty()
	defer cancel()
	switch rand.IntN(12) {
	case 0, 1:
		return r.change(ctx, lane)
	case 2:
		if r.RW.TryLock() {
			return r.changeAndUnlock(lane)
		}
	case 3:
		if r.RW.TryRLock() {
			return r.read()
		}
	default:
		switch err := r.RW.RLockContext(ctx); {
		case err == nil:
			return r.read()
		case errors.Is(err, psync.ErrOwnerDied):
			return r.change(context.Background(), lane)
		case ctx.Err() == nil:
			return err
		}
	}
	return nil
}

func (r *rwTarget) read() error {
	defer r.RW.RUnlock()
	if !r.equal() {
		return errors.New("a reader sees half a write")
	}
	dawdle(8)
	return nil
}

func (r *rwTarget) change(ctx context.Context, lane int) error {
	switch err := r.RW.LockContext(ctx); {
	case errors.Is(err, psync.ErrOwnerDied):
		r.repair()
	case err != nil && ctx.Err() == nil:
		return err
	case err != nil:
		return nil
	}
	return r.changeAndUnlock(lane)
}

func (r *rwTarget) repair() {
	r.Told.Add(1)
	r.A, r.B = r.sum(), r.sum()
	r.RW.MarkConsistent()
}

func (r *rwTarget) changeAndUnlock(lane int) error {
	if err := r.whole(); err != nil {
		return err
	}
	r.A++
	dawdle(2)
	r.B++
	r.Writes[lane]++
	r.RW.Unlock()
	r.Finished[lane]++
	return nil
}

func (r *rwTarget) settle(t *testing.T, _ int64, dead int) {
	if err := r.RW.LockContext(within(t)); err != nil {
		require.ErrorIs(t, err, psync.ErrOwnerDied)
		r.repair()
	}
	require.NoError(t, r.whole())
	r.RW.Unlock()
	r.unlocked(t)
	for lane := range r.Finished {
		lost := r.Writes[lane] - r.Finished[lane]
		if placeOf(lane) == dead {
			require.Contains(t, []int64{0, 1}, lost)
			r.Finished[lane] = r.Writes[lane]
		}
		require.Zero(t, r.Writes[lane]-r.Finished[lane])
	}
}

func (r *rwTarget) report() string {
	return fmt.Sprintf("%d writes, none lost and none seen half done, %d deaths told", r.A, r.Told.Load())
}
