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

// A groupTarget is a WaitGroup. Of each process one goroutine works, and the other
// waits. In odd rounds work is begun with Go. In even ones it is added, claimed, and
// done; what a dead one had added and not claimed is nobody's, and the living wait
// until the test takes it back.
type groupTarget struct {
	calm
	W       psync.WaitGroup
	Doing   [lanes]atomic.Int64 // what a lane is in the middle of, and how many
	Orphans int64
	Lost    int64
	Waited  atomic.Int64
	took    int64 // in this round
}

const (
	nothing = iota
	adding  // or claiming, or in Go: it has claimed all or nothing
	working // it has claimed all
	ending  // it has claimed all, or less
	amounts // times how many
)

func (g *groupTarget) setUp() error { return nil }

func (g *groupTarget) works(lane int) bool { return lane%lanesOfPlace == 0 }

func (g *groupTarget) mayWait(lane int, round int64) bool { return !g.works(lane) && round%2 == 0 }

func (g *groupTarget) step(lane int, round int64) error {
	if !g.works(lane) {
		return g.wait()
	}
	n := 1
	doing := func(what int) { g.Doing[lane].Store(int64(what + n*amounts)) }
	defer g.Doing[lane].Store(nothing)
	if round%2 != 0 {
		begun, finished := make(chan struct{}), make(chan struct{})
		doing(adding)
		g.W.Go(func() {
			<-begun
			dawdle(4)
			doing(ending)
			close(finished)
		})
		doing(working)
		close(begun)
		<-finished
		return nil
	}
	n = 1 + rand.IntN(3)
	doing(adding)
	g.W.Add(n)
	if err := g.W.Claim(n); err != nil {
		return err
	}
	doing(working)
	dawdle(4)
	doing(ending)
	if rand.IntN(2) == 0 {
		g.W.Add(-n)
		return nil
	}
	for range n {
		g.W.Done()
	}
	return nil
}

func (g *groupTarget) wait() error {
	ctx, cancel := hasty()
	defer cancel()
	err := g.W.WaitContext(ctx)
	switch {
	case err == nil || errors.Is(err, psync.ErrMemberDied):
		g.Waited.Add(1)
	case ctx.Err() == nil:
		return err
	}
	return nil
}

// unclaimed returns what was added and nobody has claimed.
func (g *groupTarget) unclaimed() int64 { return int64(uint32(wordsOf(&g.W)[2])) }

// end takes back what nobody will do, once nobody adds any more: the living wait
// for that.
func (g *groupTarget) end(_ int64, left func(int) bool) {
	for lane := 0; lane < lanes; lane += lanesOfPlace {
		if !left(lane) {
			return
		}
	}
	_ = g.W.WaitContext(ended()) // it finishes what a dead one had begun
	if n := g.unclaimed(); n > 0 {
		g.W.Add(-int(n))
		g.took += n
	}
}

func (g *groupTarget) settle(t *testing.T, round int64, dead int) {
	doing := g.Doing[dead*lanesOfPlace].Swap(nothing)
	began := round%2 != 0 // with Go, whose Done comes when the lane does something else already
	if doing%amounts == adding && !began {
		require.Contains(t, []int64{0, doing / amounts}, g.took)
	} else {
		require.Zero(t, g.took, "what was claimed is nobody's again")
	}
	err := g.W.WaitContext(within(t))
	switch {
	case doing%amounts == working:
		require.ErrorIs(t, err, psync.ErrMemberDied)
	case began, doing%amounts == adding && g.took == 0, doing%amounts == ending:
		require.True(t, err == nil || errors.Is(err, psync.ErrMemberDied), "%v", err)
	default:
		require.NoError(t, err)
	}
	if err != nil {
		g.Lost++
	}
	g.Orphans += g.took
	g.took = 0
	g.W.Reset()
	require.NoError(t, g.W.WaitContext(context.Background()))
}

func (g *groupTarget) report() string {
	return fmt.Sprintf("waited for %d times; %d died before they were done with what they had claimed, and this was told; %d were taken back that nobody had claimed", g.Waited.Load(), g.Lost, g.Orphans)
}
