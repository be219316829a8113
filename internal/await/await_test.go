package await

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// sleepUntil sleeps as a lock does: again until its look is content.
func sleepUntil(ctx context.Context, watch func(*Sleeper), content func() bool) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := New(ctx)
		defer s.Stop()
		for !content() && ctx.Err() == nil {
			watch(s)
			s.Sleep(time.Hour)
			s.PassOn()
		}
	}()
	return done
}

func TestSleeperWakes(t *testing.T) {
	proctest.NoLeaks(t)
	all, _ := flags(2)
	ctx, cancel := context.WithCancel(context.Background())
	both := func(s *Sleeper) {
		s.Watch(&all[0].word, 0)
		s.Watch(&all[1].word, 0)
	}
	for _, f := range all {
		done := sleepUntil(ctx, both, func() bool { return f.word.Load() != 0 })
		asleep(t, unix.SYS_FUTEX_WAITV, 1)
		f.raise()
		<-done
		f.word.Store(0)
	}
	done := sleepUntil(ctx, both, func() bool { return false })
	asleep(t, unix.SYS_FUTEX_WAITV, 1)
	cancel()
	<-done
	require.Zero(t, threads.Load())
}

func TestSleeperDeath(t *testing.T) {
	proctest.NoLeaks(t)
	p, look := startMember(t)
	var waits []<-chan struct{}
	for range 3 {
		waits = append(waits, sleepUntil(context.Background(), func(s *Sleeper) {
			if sight := look(); sight.Alive {
				s.WatchLife(sight)
			}
		}, func() bool { return !look().Alive }))
	}
	asleep(t, unix.SYS_FUTEX_WAITV, 3)
	p.Kill(t)
	for _, done := range waits {
		<-done
	}
}

// A sleep ends after its bound; each is told anew what to watch, and how much it
// can.
func TestSleeperBounds(t *testing.T) {
	var word atomic.Uint32
	s := New(context.Background())
	defer s.Stop()
	for n := range futex.MaxWaiters + 10 {
		require.Equal(t, n < futex.MaxWaiters-1, s.Watch(&word, 0))
	}
	s.Sleep(time.Millisecond)
	require.True(t, s.Watch(&word, 0))
	s.Sleep(time.Millisecond)
	require.GreaterOrEqual(t, s.Waited(), 2*time.Millisecond)
}

// Beyond the limit of threads a sleeper looks from time to time.
func TestSleeperWithoutThread(t *testing.T) {
	threads.Add(maxThreads)
	defer threads.Add(-maxThreads)
	all, _ := flags(1)
	ctx, cancel := context.WithCancel(context.Background())
	watch := func(s *Sleeper) { s.Watch(&all[0].word, 0) }
	done := sleepUntil(ctx, watch, func() bool { return all[0].word.Load() != 0 })
	all[0].raise()
	<-done
	done = sleepUntil(ctx, watch, func() bool { return false })
	cancel()
	<-done
	require.Equal(t, int32(maxThreads), threads.Load())
}

// A slow source is ready at the second look, after a bounded sleep.
type slow struct {
	word  atomic.Uint32
	looks int
}

func (s *slow) Await(list *List) bool {
	list.Watch(&s.word, 0)
	list.Bound(time.Millisecond)
	s.looks++
	return s.looks > 1
}

// The kernel sleeps by its own clock, where that of package time stands still.
func TestSleepInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(t.Context())
		defer s.Stop()
		s.Sleep(time.Millisecond)
		ready, err := Any(t.Context(), []Source{new(slow)})
		require.NoError(t, err)
		require.Len(t, ready, 1)
	})
}

// Why the kernel refuses a sleep is said as it is.
func TestSleepRefused(t *testing.T) {
	s := New(t.Context())
	defer s.Stop()
	require.PanicsWithError(t, "multiproc: the kernel refuses to sleep: invalid argument", func() { s.Sleep(math.MinInt64) })
	require.EqualError(t, errSleep(unix.EFAULT), "multiproc: what was waited for is no longer mapped: bad address")
}
