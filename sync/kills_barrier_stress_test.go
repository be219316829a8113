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

// A barrierTarget is a Barrier for all lanes, whose processes are registered. In odd
// rounds they meet until one is killed, of which each must be told. In even rounds
// they abort and reset it, all at once.
type barrierTarget struct {
	calm
	B      psync.Barrier
	Inside [lanes]atomic.Bool
	Met    atomic.Int64 // counted by the action
	Told   atomic.Int64
}

func (b *barrierTarget) setUp() error { return b.B.Init(lanes) }
func (b *barrierTarget) join() error  { return b.B.Register() }

func (b *barrierTarget) step(lane int, round int64) error {
	if round%2 == 0 {
		if rand.IntN(4) == 0 {
			b.B.Abort()
		}
		b.B.Reset()
		return nil
	}
	dawdle(4)
	before := b.Met.Load()
	b.Inside[lane].Store(true)
	index, err := b.wait(round)
	b.Inside[lane].Store(false)
	switch {
	case errors.Is(err, psync.ErrBroken):
		b.Told.Add(1)
		return errLeave
	case err != nil:
		return err
	case index < 0 || index >= lanes:
		return fmt.Errorf("index %d", index)
	case round%4 == 1 && b.Met.Load() == before:
		return errors.New("some went on before the action was run")
	}
	return nil
}

// wait is with an action in every other of the rounds.
func (b *barrierTarget) wait(round int64) (int, error) {
	if round%4 == 3 {
		return b.B.Wait(context.Background())
	}
	return b.B.WaitAction(context.Background(), func() error {
		for lane := range b.Inside {
			if !b.Inside[lane].Load() {
				return fmt.Errorf("lane %d has not come", lane)
			}
		}
		b.Met.Add(1)
		dawdle(4)
		return nil
	})
}

func (b *barrierTarget) settle(t *testing.T, round int64, dead int) {
	require.Zero(t, b.B.Waiting())
	if round%2 == 0 && b.B.Broken() {
		b.B.Reset()
	}
	require.Equal(t, round%2 != 0, b.B.Broken())
	for lane := range lanes {
		if placeOf(lane) == dead {
			b.Inside[lane].Store(false)
		}
		require.False(t, b.Inside[lane].Load())
	}
}

func (b *barrierTarget) report() string {
	return fmt.Sprintf("%d meetings with an action, nobody went on alone; broken and told %d times", b.Met.Load(), b.Told.Load())
}
