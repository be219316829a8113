package sync_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Who gives up, signalled or not, leaves nothing behind. The lock is held by the
// test meanwhile, so that nobody can have consumed anything yet.
func TestCondCancel(t *testing.T) {
	forHalls(t, 1, func(t *testing.T, h *hall, l psync.CondLocker, lock string, g []*proctest.Proc) {
		for _, tt := range []struct {
			name    string
			signals int // before it gives up
			after   int
			want    string
		}{
			{"in vain", 0, 0, "context canceled"},
			{"signalled before", 1, 0, "ok"},
			{"signalled when it has given up", 0, 1, "ok"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				g[0].Tell(t, "turn "+lock)
				h.awaitWaiting(t, 1, l)
				l.Lock()
				h.Cond.SignalN(tt.signals)
				g[0].Tell(t, "cancel")
				if tt.after > 0 {
					until(t, "the lock to be wanted", func() bool { return wholeWord(l).Load()&waiting != 0 })
				}
				h.Cond.SignalN(tt.after)
				l.Unlock()
				g[0].Expect(t, tt.want)
				require.Zero(t, h.waiting())
				require.Zero(t, h.granted())
			})
		}
	})
}

// One of several goroutines gives up. The signals go to the oldest, and to those
// who gave up only if it was their turn.
func TestCondCancelOneOfSeveral(t *testing.T) {
	for who := range 3 {
		for signals := range 4 {
			t.Run(strconv.Itoa(who)+" of 3, signals "+strconv.Itoa(signals), func(t *testing.T) {
				var h hall
				l := &h.Mutex
				var back [3]<-chan int
				var cancels [3]context.CancelFunc
				for i := range back {
					var ctx context.Context
					ctx, cancels[i] = context.WithCancel(t.Context())
					defer cancels[i]()
					back[i] = h.wait(t, ctx, l, 1)
				}
				l.Lock()
				cancels[who]()
				h.Cond.SignalN(signals)
				l.Unlock()
				for i := range signals {
					require.Zero(t, await(t, "who was signalled", back[i]), "%d", i)
				}
				if who >= signals {
					require.Equal(t, -1, await(t, "who gave up", back[who]))
				}
				h.Cond.Broadcast()
				for i := signals; i < 3; i++ {
					if i != who {
						require.Zero(t, await(t, "who waits still", back[i]))
					}
				}
				require.Zero(t, h.waiting())
				require.Zero(t, h.granted())
			})
		}
	}
}

// A roomful is one process with several goroutines that wait, all over again, and
// give up at random, until the number in the hall is negative. It says how many
// signals they got.
var roomful = proctest.Register("roomful", func(p *proctest.Helper) error {
	h, err := enter[hall](p)
	if err != nil {
		return err
	}
	goroutines, err := strconv.Atoi(p.Args[1])
	if err != nil {
		return err
	}
	l := h.lock(p.Args[0])
	p.Ready()
	var got atomic.Int64
	var all sync.WaitGroup
	cancels := make(chan context.CancelFunc, goroutines/2)
	for range goroutines {
		all.Go(func() {
			l.Lock()
			defer l.Unlock()
			for h.N >= 0 {
				ctx, cancel := context.WithCancel(context.Background())
				if rand.IntN(2) == 0 {
					select {
					case cancels <- cancel:
					default:
						(<-cancels)()
					}
				}
				if h.Cond.WaitContext(ctx, l) == nil {
					got.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	p.Say(strconv.FormatInt(got.Load(), 10))
	return nil
})

// However many wait and give up at the same time: without a death there are as
// many who were signalled as there were signals.
func TestCondCountsSignals(t *testing.T) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			h, file := stage[hall](t)
			l := h.lock(lock)
			rooms := make([]*proctest.Proc, 2)
			for i := range rooms {
				rooms[i] = roomful.Start(t, []*os.File{file}, lock, "6")
			}
			proctest.Gate(t, rooms...)
			given := 0
			for given < 2000 {
				l.Lock()
				for range min(1+rand.IntN(3), h.waiting()-h.granted()) {
					h.Cond.Signal()
					given++
				}
				l.Unlock()
			}
			l.Lock()
			h.N = -1
			given += h.waiting() - h.granted()
			h.Cond.Broadcast()
			l.Unlock()
			got := 0
			for _, p := range rooms {
				n, err := strconv.Atoi(p.Line(t))
				require.NoError(t, err)
				require.NoError(t, p.Wait(t))
				got += n
			}
			require.Equal(t, given, got)
			require.Zero(t, h.waiting())
			require.Zero(t, h.granted())
		})
	}
}
