package sync_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// Each lock has a gate of its own: a goroutine that waits for one lock does not
// keep another from waiting for, and getting, another lock.
func TestGatePerLock(t *testing.T) {
	proctest.NoLeaks(t)
	s, file := stage[scene](t)
	first := actor.Start(t, []*os.File{file}, "mutex")
	second := actor.Start(t, []*os.File{file}, "rmutex")
	do(t, first, "lock")
	do(t, second, "lock")

	one, two := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(one)
		turn(&s.Mutex)
	}()
	awaitSleeper(s.word("mutex"))
	go func() {
		defer close(two)
		turn(&s.RMutex)
	}()
	awaitSleeper(s.word("rmutex"))

	do(t, second, "unlock")
	await(t, "who waits for the second lock", two)
	pid, held := s.Mutex.Holder()
	require.True(t, held)
	require.Equal(t, first.Pid(), pid)
	do(t, first, "unlock")
	await(t, "who waits for the first lock", one)
}

// A hesitant context makes its goroutine stop at a gate, where it is about to wait.
type hesitant struct {
	context.Context
	once       sync.Once
	here, goOn chan struct{}
}

func newHesitant(t *testing.T) *hesitant {
	return &hesitant{Context: t.Context(), here: make(chan struct{}), goOn: make(chan struct{})}
}

func (c *hesitant) Done() <-chan struct{} {
	c.once.Do(func() {
		close(c.here)
		<-c.goOn
	})
	return c.Context.Done()
}
