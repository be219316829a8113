//go:build stress

package sync_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	psync "github.com/go-multiproc/multiproc/sync"
)

// An eventTarget is an Event that some set and clear, on and on, while others wait for it.
type eventTarget struct {
	calm
	E    psync.Event
	Sets [lanes]atomic.Int64
}

func (e *eventTarget) setUp() error { return nil }

func (e *eventTarget) step(lane int, _ int64) error {
	if placeOf(lane)%2 == 0 {
		e.Sets[lane].Add(1)
		e.E.Set()
		dawdle(16)
		e.E.Clear()
		dawdle(16)
		return nil
	}
	ctx, cancel := hasty()
	defer cancel()
	if !e.E.Wait(ctx) && ctx.Err() == nil {
		return errors.New("an event is not set although the wait for it has not been ended")
	}
	return nil
}

func (e *eventTarget) end(int64, func(int) bool) { e.E.Set() }

func (e *eventTarget) settle(t *testing.T, _ int64, _ int) {
	e.E.Set()
	require.True(t, e.E.Wait(ended()))
	e.E.Clear()
	require.False(t, e.E.Wait(ended()))
}

func (e *eventTarget) report() string {
	sets := int64(0)
	for lane := range e.Sets {
		sets += e.Sets[lane].Load()
	}
	return fmt.Sprintf("set and cleared %d times", sets)
}
