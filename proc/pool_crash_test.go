//go:build crash

package proc_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// A stage is what a test and the workers of its pool share: how often each item
// was begun, and which worker was armed by each doom.
type stage struct {
	Begun *shm.Array[atomic.Uint32] // by item
	Armed *shm.Array[atomic.Uint32] // by doom: the process; 0 is none yet
}

const stageItems = 4096

func newStage(t *testing.T) stage {
	t.Helper()
	s := stage{}
	for _, a := range []**shm.Array[atomic.Uint32]{&s.Begun, &s.Armed} {
		array, err := shm.NewArray[atomic.Uint32](stageItems, &shm.Options{NoLock: true})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, array.Close()) })
		*a = array
	}
	return s
}

// onStage is the stage of a worker.
var onStage stage

var enter = proc.RegisterTask("enter the stage", func(_ context.Context, s stage) error {
	onStage = s
	return nil
})

// An act is an item. If it is the first one of its doom, it arms its worker.
type act struct {
	N      int64 // which item
	Doom   int32 // 1 + which doom; 0 is none
	Point  probe.Point
	Signal uint8
	Nap    bool // time for the parent to fall asleep
	First  bool // only if the worker is the first one
}

// perform returns the square of the item.
var perform = proc.Register("perform", func(_ context.Context, a act) (int64, error) {
	onStage.Begun.View()[a.N].Add(1)
	index, _ := proc.WorkerIndex()
	if a.Doom > 0 && (index == 0 || !a.First) && onStage.Armed.View()[a.Doom-1].CompareAndSwap(0, uint32(os.Getpid())) {
		probe.Arm(a.Point, syscall.Signal(a.Signal))
		if a.Nap {
			<-time.After(30 * time.Millisecond)
		}
		return a.N * a.N, nil
	}
	<-time.After(time.Millisecond) // so that there is work for all
	return a.N * a.N, nil
})

// workerPoints are the steps of a worker.
var workerPoints = slices.Concat(probe.Points(probe.Claim110, probe.Item120), probe.Points(probe.Rest130, probe.Rest134))

// inHand reports whether the worker has an item in hand at a step.
func inHand(p probe.Point) bool { return p >= probe.Claim114 && p <= probe.Item117 }

// doomed is an item that arms its worker for a step.
func doomed(doom int, p probe.Point, sig syscall.Signal) act {
	return act{Doom: int32(doom + 1), Point: p, Signal: uint8(sig), Nap: p >= probe.Item118 && p <= probe.Item120}
}

// A troupe is a pool on a stage.
type troupe struct {
	t *testing.T
	stage
	pool  *proc.Pool
	next  int64 // item
	fails int
	lost  map[int]int // how many items each process had in hand when it died
}

func newTroupe(t *testing.T, o proc.PoolOptions) *troupe {
	t.Helper()
	proctest.NoLeaks(t)
	s := newStage(t)
	o.Init = enter.With(s)
	pool, err := proc.NewPool(t.Context(), &o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Terminate()) })
	return &troupe{t: t, stage: s, pool: pool, lost: make(map[int]int)}
}

// acts are so many items, of which some arm their workers.
func (r *troupe) acts(items int, dooms map[int]act) []act {
	all := make([]act, items)
	for i := range all {
		all[i] = dooms[i]
		all[i].N = r.next
		r.next++
	}
	return all
}

// A calling is a way to have acts performed. It returns an outcome for each of
// them, as they come.
type calling func(r *troupe, acts []act, outcome func(i int, v int64, err error))

var callings = map[string]calling{
	"map": func(r *troupe, acts []act, outcome func(int, int64, error)) {
		all, err := perform.Map(r.t.Context(), r.pool, acts, &proc.MapOptions{Chunk: 4, KeepGoing: true})
		failed, _ := err.(proc.TaskErrors)
		require.Equal(r.t, err != nil, len(failed) > 0, "%v", err)
		require.Len(r.t, all, len(acts))
		for i, v := range all {
			outcome(i, v, failed.At(i))
		}
	},
	"unordered": func(r *troupe, acts []act, outcome func(int, int64, error)) {
		for o := range perform.MapUnordered(r.t.Context(), r.pool, slices.Values(acts), nil) {
			outcome(o.Index, o.Value, o.Err)
		}
	},
	"stream": func(r *troupe, acts []act, outcome func(int, int64, error)) {
		i := 0
		for v, err := range perform.Stream(r.t.Context(), r.pool, slices.Values(acts), &proc.MapOptions{Chunk: 1}) {
			outcome(i, v, err)
			i++
		}
	},
	"submit": func(r *troupe, acts []act, outcome func(int, int64, error)) {
		var futures []*proc.Future[int64]
		for _, a := range acts {
			futures = append(futures, perform.Submit(r.t.Context(), r.pool, a))
		}
		for i, f := range futures {
			v, err := f.Get(r.t.Context())
			outcome(i, v, err)
		}
	},
}

// play has acts performed, and sees that each has one outcome: the right one, or
// that of a dead worker. It returns which have failed.
func (r *troupe) play(call calling, acts []act) (failed []int) {
	t := r.t
	had := make([]bool, len(acts))
	call(r, acts, func(i int, v int64, err error) {
		require.GreaterOrEqual(t, i, 0, "%v", err)
		require.False(t, had[i], "item %d has a second outcome", i)
		had[i] = true
		begun := r.Begun.View()[acts[i].N].Load()
		if err == nil {
			require.Equal(t, acts[i].N*acts[i].N, v, "item %d", i)
			require.GreaterOrEqual(t, begun, uint32(1), "item %d", i)
			return
		}
		failed = append(failed, i)
		died := &proc.WorkerDiedError{}
		require.ErrorAs(t, err, &died, "item %d", i)
		require.Equal(t, -int(unix.SIGKILL), died.Code, "item %d", i)
		r.lost[died.Pid]++
	})
	for i := range had {
		require.True(t, had[i], "item %d has no outcome", i)
	}
	r.fails += len(failed)
	return failed
}

// deaths returns how many workers have died.
func (r *troupe) deaths() (n int) {
	for _, w := range r.pool.Stats().Workers {
		n += w.Deaths
	}
	return n
}

// playOut performs more and more until so many workers have died: another one
// may have taken all that the doomed one waited for.
func (r *troupe) playOut(call calling, deaths int) {
	for end := time.Now().Add(20 * time.Second); r.deaths() < deaths; {
		require.True(r.t, time.Now().Before(end), "%d workers have died, not %d", r.deaths(), deaths)
		r.play(call, r.acts(4, nil))
	}
}

// begunOnce sees that no item was begun more often than it may be, and that at
// most so many were begun again.
func (r *troupe) begunOnce(again int) {
	more := 0
	for n := range r.next {
		more += max(0, int(r.Begun.View()[n].Load())-1)
	}
	require.LessOrEqual(r.t, more, again, "items were begun again")
}

// A worker is killed at each of its steps, and the parent looks at nothing on its
// own account. What the worker had committed has its result; the item in its hand,
// and no other one, ends with a WorkerDiedError; what it had not begun is done by
// others.
func TestPoolWorkerKilledAtEachStep(t *testing.T) {
	proc.WithoutSweeps(t)
	n := 0
	for name, call := range callings {
		for _, workers := range []int{1, 2} {
			for _, p := range workerPoints {
				n++
				t.Run(fmt.Sprintf("%s/%d/%v", name, workers, p), func(t *testing.T) {
					r := newTroupe(t, proc.PoolOptions{Workers: workers})
					at := 4 // the first of a chunk
					if doomed(0, p, unix.SIGKILL).Nap {
						at = 11 // the last
					}
					acts := r.acts(12, map[int]act{at: doomed(0, p, unix.SIGKILL)})
					failed := r.play(call, acts)
					r.playOut(call, 1)
					if p == probe.Item116 || p == probe.Item117 {
						require.Equal(t, []int{at}, failed)
					}
					if inHand(p) {
						require.Equal(t, 1, r.fails)
					} else {
						require.Zero(t, r.fails)
					}
					r.begunOnce(0)
					require.Equal(t, 1, r.deaths())
				})
			}
		}
	}
	proctest.Verified(t, "crash", "pool, worker killed", "%d kills at %d steps", n, len(workerPoints))
}

// With Retries the item in hand is begun again, and all succeed.
func TestPoolWorkerKilledAtEachStepAndRetried(t *testing.T) {
	proc.WithoutSweeps(t)
	for name, call := range callings {
		t.Run(name, func(t *testing.T) {
			r := newTroupe(t, proc.PoolOptions{Workers: 2, Retries: 1})
			for i, p := range workerPoints {
				require.Empty(t, r.play(call, r.acts(12, map[int]act{5: doomed(i, p, unix.SIGKILL)})), "%v", p)
				r.playOut(call, i+1)
			}
			require.Zero(t, r.fails)
			r.begunOnce(len(workerPoints))
		})
	}
	proctest.Verified(t, "crash", "pool, worker killed, tasks begun again", "%d kills, no task failed", len(callings)*len(workerPoints))
}

// Two workers are killed, each at each of its steps, at about the same time; or
// one, and then the one that takes its place.
func TestPoolSecondWorkerKilledAtEachStep(t *testing.T) {
	proc.WithoutSweeps(t)
	call, n := callings["unordered"], 0
	for _, workers := range []int{1, 2} {
		for _, first := range workerPoints {
			t.Run(fmt.Sprintf("%d/%v", workers, first), func(t *testing.T) {
				r := newTroupe(t, proc.PoolOptions{Workers: workers})
				for i, second := range workerPoints {
					points := []probe.Point{first, second}
					dooms := map[int]act{0: doomed(2*i, first, unix.SIGKILL), 1: doomed(2*i+1, second, unix.SIGKILL)}
					before := r.deaths()
					if workers == 1 {
						r.play(call, r.acts(4, map[int]act{0: dooms[0]}))
						r.playOut(call, before+1)
						dooms = map[int]act{0: dooms[1]}
					}
					r.play(call, r.acts(8, dooms))
					armed := r.Armed.View()[2*i:][:2]
					for armed[0].Load() == 0 || armed[1].Load() == 0 { // one was killed with the other doom in hand
						r.play(call, r.acts(4, map[int]act{0: doomed(2*i, first, unix.SIGKILL), 1: doomed(2*i+1, second, unix.SIGKILL)}))
					}
					if armed[0].Load() == armed[1].Load() { // the second order replaces the first
						r.playOut(call, before+1)
						continue
					}
					n++
					r.playOut(call, before+2)
					for k, p := range points {
						want := 0
						if inHand(p) {
							want = 1
						}
						require.Equal(t, want, r.lost[int(armed[k].Load())], "killed at %v", p)
					}
				}
				r.begunOnce(0)
			})
		}
	}
	proctest.Verified(t, "crash", "pool, two workers killed", "%d pairs of kills", n)
}
