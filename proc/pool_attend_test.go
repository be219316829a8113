package proc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// Goroutines that look for results themselves, those that only wait for Done, and
// a Map that the pool's goroutine serves: each has all of its own results.
func TestPoolServesEveryKindOfWait(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, nil)
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			for i := range 100 {
				f := square.Submit(t.Context(), p, i)
				if g%2 == 0 {
					<-f.Done()
				}
				got, err := f.Get(t.Context())
				if err != nil || got != i*i {
					t.Errorf("square(%d) = %d, %v", i, got, err)
				}
			}
		})
	}
	all.Go(func() {
		in := make([]int, 5000)
		out, err := square.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 1})
		if err != nil || len(out) != len(in) {
			t.Errorf("Map: %d results, %v", len(out), err)
		}
	})
	all.Wait()
}

// A pool that ends while goroutines look for results lets all of them go.
func TestPoolEndsUnderLookers(t *testing.T) {
	proctest.NoLeaks(t)
	for range 5 {
		p := newPool(t, nil)
		var looking, all sync.WaitGroup
		for range 4 {
			looking.Add(1)
			all.Go(func() {
				for i := 0; ; i++ {
					_, err := square.Submit(context.Background(), p, i).Get(context.Background())
					if i == 0 {
						looking.Done()
					}
					if err != nil {
						if i == 0 {
							t.Errorf("the first one: %v", err)
						}
						return
					}
				}
			})
		}
		looking.Wait()
		require.NoError(t, p.Terminate())
		all.Wait()
	}
}

// A lookedAt context ends when somebody looks whether it has.
type lookedAt struct {
	context.Context
	done chan struct{}
	once sync.Once
}

func (c *lookedAt) Done() <-chan struct{} { return c.done }

func (c *lookedAt) Err() error {
	c.once.Do(func() { close(c.done) })
	return context.Canceled
}

// Who looks for results looks at its context, too, however many come for others.
func TestGetLooksAtItsContext(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	p := newPool(t, nil)
	f := puppet.Submit(t.Context(), p, cue{x.addr, 3})
	player := x.enter(t)
	_, err := f.Get(&lookedAt{Context: context.Background(), done: make(chan struct{})})
	require.ErrorIs(t, err, context.Canceled)
	player.say(t, "return")
	got, err := f.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 9, got)
}
