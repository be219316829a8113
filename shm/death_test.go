package shm

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// will is what a helper holds when it dies: money that it was moving.
type will struct {
	Array *Array[int64]
	Value *Value[int64]
}

// mortal takes the locks as often as told, does the first half of an update,
// and then waits for its end: by a kill, or by its own exit.
var mortal = proctest.Register("mortal", func(h *proctest.Helper) error {
	w, err := take[will](h)
	if err != nil {
		return err
	}
	var depth int
	if _, err := fmt.Sscan(h.Args[0], &depth); err != nil {
		return err
	}
	if h.Args[1] == "panic" {
		defer func() { _ = recover() }()
	}
	w.Value.Lock()
	w.Array.Do(func(v []int64) {
		for range depth - 1 {
			w.Array.Lock()
		}
		v[0]--
		*w.Value.Ptr()--
		h.Say("half-way")
		_, err = h.Listen()
		if err == nil && h.Args[1] == "panic" {
			panic("on purpose")
		}
	})
	return err
})

// half starts a helper, and returns once it is in the middle of its update.
func half(t *testing.T, opts *Options, depth int, how string) (*proctest.Proc, will) {
	w := will{testArray[int64](t, opts, 5, 5), testValue[int64](t, 5, nil)}
	p := hand(t, mortal, w, fmt.Sprint(depth), how)
	p.Expect(t, "half-way")
	require.False(t, w.Array.TryLock())
	return p, w
}

func requireOwnerDied(t *testing.T, fn func()) (pid int) {
	t.Helper()
	err := panicOf(t, fn)
	var died *psync.OwnerDiedError
	require.ErrorAs(t, err, &died)
	require.IsType(t, died, err, "the panic's value is the error itself")
	require.ErrorIs(t, err, psync.ErrOwnerDied)
	return died.Pid
}

func TestHolderIsKilled(t *testing.T) {
	for name, tt := range map[string]struct {
		depth int
		opts  func(*testing.T) *Options
	}{
		"own lock":     {1, func(*testing.T) *Options { return nil }},
		"nested":       {4, func(*testing.T) *Options { return nil }},
		"given Mutex":  {1, func(t *testing.T) *Options { return &Options{Lock: givenLocks["Mutex in a segment"](t)} }},
		"given RMutex": {3, func(t *testing.T) *Options { return &Options{Lock: givenLocks["lock of a value"](t)} }},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			p, w := half(t, tt.opts(t), tt.depth, "")
			p.Kill(t)
			a := w.Array

			require.False(t, a.TryLock(), "an abandoned lock is not taken in silence")
			require.Equal(t, p.Pid(), requireOwnerDied(t, func() { a.At(0) }), "the first to see it knows who")
			for range 2 { // the mark stays
				for name, fn := range map[string]func(){
					"At":     func() { a.At(-1) },
					"Set":    func() { a.Set(0, 9) },
					"Do":     func() { a.Do(func([]int64) { t.Error("it ran") }) },
					"Copy":   func() { a.Copy() },
					"step":   func() { a.Copy(Omit, Omit, -1) },
					"Assign": func() { _ = a.Assign([]int64{9, 9}) },
					"Lock":   func() { a.Lock() },
					"All": func() {
						for range a.All() {
							t.Error("it went on")
						}
					},
				} {
					requireOwnerDied(t, fn)
					require.False(t, held(a), name)
				}
				err := a.DoContext(t.Context(), func([]int64) { t.Error("it ran") })
				require.ErrorIs(t, err, psync.ErrOwnerDied)
				require.False(t, held(a))
			}
			requireHealed(t, a)
			require.ErrorIs(t, w.Value.LockContext(t.Context()), psync.ErrOwnerDied)
			w.Value.Unlock()
		})
	}
}

// requireHealed repairs an array that lacks 1, in two attempts.
func requireHealed(t *testing.T, a *Array[int64]) {
	require.ErrorIs(t, a.LockContext(t.Context()), psync.ErrOwnerDied)
	require.True(t, held(a))
	require.Equal(t, []int64{4, 5}, a.View(), "the update is half-done")
	a.Unlock() // without a repair
	requireOwnerDied(t, func() { a.At(0) })

	require.ErrorIs(t, a.LockContext(t.Context()), psync.ErrOwnerDied)
	a.View()[1]++
	a.MarkConsistent()
	a.Unlock()
	require.False(t, held(a))
	require.Equal(t, []int64{4, 6}, a.Copy())
	require.NoError(t, a.DoContext(t.Context(), func(v []int64) { v[0] = 5 }))
	require.NoError(t, a.LockContext(t.Context()))
	a.Unlock()
	require.True(t, a.TryLock())
	a.Unlock()
}

func TestHolderOfValueIsKilled(t *testing.T) {
	proctest.NoLeaks(t)
	p, w := half(t, nil, 1, "")
	p.Kill(t)
	v := w.Value
	require.Equal(t, p.Pid(), requireOwnerDied(t, func() { v.Get() }))
	requireOwnerDied(t, func() { v.Set(1) })
	requireOwnerDied(t, func() { v.Do(func(*int64) { t.Error("it ran") }) })
	require.ErrorIs(t, v.DoContext(t.Context(), func(*int64) { t.Error("it ran") }), psync.ErrOwnerDied)
	require.False(t, held(v))
	require.ErrorIs(t, v.LockContext(t.Context()), psync.ErrOwnerDied)
	require.EqualValues(t, 4, *v.Ptr())
	v.MarkConsistent()
	v.Unlock()
	require.EqualValues(t, 4, v.Get())
}

// A process that ends without being killed leaves the same mark, if it held the
// lock. A panic that unwinds Do releases it.
func TestHolderEnds(t *testing.T) {
	proctest.NoLeaks(t)
	p, w := half(t, nil, 2, "")
	p.Tell(t, "go on")
	require.NoError(t, p.Wait(t)) // Do has unlocked once of two times
	requireOwnerDied(t, func() { w.Array.At(0) })
	requireOwnerDied(t, func() { w.Value.Get() })
}

func TestHolderPanics(t *testing.T) {
	proctest.NoLeaks(t)
	p, w := half(t, nil, 1, "panic")
	p.Tell(t, "go on")
	require.NoError(t, p.Wait(t))
	require.Equal(t, []int64{4, 5}, w.Array.Copy(), "Do released the lock while the panic unwound it")
	requireOwnerDied(t, func() { w.Value.Get() })
}

// Who waits is told as soon as the holder is dead: with a context, and without.
func TestWaiterLearnsOfTheDeath(t *testing.T) {
	proctest.NoLeaks(t)
	p, w := half(t, nil, 3, "")
	got := make(chan any, 2)
	waiting := make(chan bool)
	go func() {
		defer func() { got <- recover() }()
		waiting <- true
		w.Array.At(0)
	}()
	go func() {
		waiting <- true
		got <- w.Array.DoContext(context.Background(), func([]int64) { t.Error("it ran") })
	}()
	<-waiting
	<-waiting
	p.Kill(t)
	for range 2 {
		err, _ := (<-got).(error)
		require.ErrorIs(t, err, psync.ErrOwnerDied)
	}
	require.False(t, held(w.Array))
}

// A third process sees the mark as well, and its repair counts for all.
var survivor = proctest.Register("survivor", func(h *proctest.Helper) error {
	w, err := take[will](h)
	if err != nil {
		return err
	}
	err = w.Array.LockContext(context.Background())
	h.Say(fmt.Sprint(err))
	w.Array.View()[1]++
	w.Array.MarkConsistent()
	w.Array.Unlock()
	return nil
})

func TestAnotherProcessRepairs(t *testing.T) {
	proctest.NoLeaks(t)
	p, w := half(t, nil, 2, "")
	p.Kill(t)
	s := hand(t, survivor, w)
	s.Expect(t, (&psync.OwnerDiedError{Pid: p.Pid()}).Error())
	require.NoError(t, s.Wait(t))
	require.Equal(t, []int64{4, 6}, w.Array.Copy())
}

// mover moves money from one element to another for ever.
var mover = proctest.Register("mover", func(h *proctest.Helper) error {
	w, err := take[will](h)
	if err != nil {
		return err
	}
	h.Say("moving")
	for {
		w.Array.Do(func(v []int64) {
			v[0]--
			v[1]++
		})
	}
})

// TestKilledAnywhere kills a process at any moment. If the money is not all
// there, the survivor is told.
func TestKilledAnywhere(t *testing.T) {
	proctest.NoLeaks(t)
	w := will{testArray[int64](t, nil, 0, 0), testValue[int64](t, 0, nil)}
	for range 12 {
		p := hand(t, mover, w)
		p.Expect(t, "moving")
		p.Kill(t)
		err := w.Array.LockContext(t.Context())
		v := w.Array.View()
		if err == nil {
			require.Zero(t, v[0]+v[1])
		} else {
			require.ErrorIs(t, err, psync.ErrOwnerDied)
			require.Contains(t, []int64{0, -1}, v[0]+v[1])
			v[0] = -v[1]
			w.Array.MarkConsistent()
		}
		w.Array.Unlock()
		require.Equal(t, v, w.Array.Copy())
	}
}
