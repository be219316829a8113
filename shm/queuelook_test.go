package shm

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/spin"
)

// What is looked at again and again before a sleep is cheap, however many members
// there are: not whether producers live, nor what is left to be done.
func TestQueueLooksAreCheap(t *testing.T) {
	var none, vain spin.Budget
	vain.Until(func() bool { return false })
	t.Run("get", func(t *testing.T) {
		q := testQueue[int](t, 1, nil)
		q.ring.words.registered.Store(1) // and no producer lives
		ringBudget = spin.Budget{}
		_, _, err := q.ring.waitGet(t.Context(), 1, 0)
		require.ErrorIs(t, err, ErrClosed)
		require.Equal(t, fmt.Sprint(&vain), fmt.Sprint(&ringBudget))
	})
	t.Run("join", func(t *testing.T) {
		q := testQueue[int](t, 1, &QueueOptions{Tasks: true})
		putNow(t, q, 1)
		ringBudget = spin.Budget{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, q.Join(ctx))
		require.Equal(t, fmt.Sprint(&none), fmt.Sprint(&ringBudget), "it waits for something else")
	})
}
