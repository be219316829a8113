package shm

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

func TestOwnLockIsRecursive(t *testing.T) {
	a := testArray(t, nil, 1)
	require.IsType(t, (*psync.RMutex)(nil), a.Locker())
	a.Lock()
	a.Lock()
	require.True(t, a.TryLock())
	require.NoError(t, a.LockContext(t.Context()))
	a.Set(0, a.At(0)+1)
	a.MarkConsistent() // it is: nothing happens
	for range 4 {
		require.True(t, held(a))
		a.Unlock()
	}
	require.False(t, held(a))
	require.Equal(t, 2, a.At(0))
}

// givenLocks are locks in memory that the lent array does not own: in another
// array, beside other things in a segment, and as elements.
var givenLocks = map[string]func(testing.TB) psync.Locker{
	"lock of another array": func(t testing.TB) psync.Locker { return testArray(t, nil, 1).Locker() },
	"lock of a value":       func(t testing.TB) psync.Locker { return testValue(t, 1, nil).Locker() },
	"Mutex in a segment": func(t testing.TB) psync.Locker {
		mu, err := Place[psync.Mutex](testSegment(t, 64), 8)
		require.NoError(t, err)
		return mu
	},
	"RMutex at the end of a segment": func(t testing.TB) psync.Locker {
		mu, err := Place[psync.RMutex](testSegment(t, 64), 40)
		require.NoError(t, err)
		return mu
	},
	"Mutex in an array": func(t testing.TB) psync.Locker {
		locks, err := NewArray[struct {
			N  int64
			Mu psync.Mutex
		}](3, nil)
		require.NoError(t, err)
		closing(t, locks)
		return &locks.View()[2].Mu
	},
}

type lent struct {
	A, B *Array[int64]
	V    *Value[int64]
}

// newLent makes three objects that share one lock.
func newLent(t testing.TB, lock psync.Locker) lent {
	opts := &Options{Lock: lock}
	return lent{testArray[int64](t, opts, 1, 2), testArray[int64](t, opts, 3), testValue[int64](t, 4, opts)}
}

func TestGivenLock(t *testing.T) {
	for name, given := range givenLocks {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			lock := given(t)
			l := newLent(t, lock)
			require.Same(t, lock, l.A.Locker())
			require.Same(t, lock, l.V.Locker())
			l.A.Do(func(v []int64) {
				require.True(t, held(l.B) && held(l.V))
				l.B.View()[0] += v[0] + *l.V.Ptr()
			})
			require.EqualValues(t, 8, l.B.At(0))

			lock.Lock()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			result := make(chan error)
			go func() { result <- l.A.LockContext(ctx) }()
			require.ErrorIs(t, <-result, context.Canceled, "it is the same lock")
			lock.Unlock()
		})
	}
}

var borrower = proctest.Register("borrower", func(h *proctest.Helper) error {
	l, err := take[lent](h)
	if err != nil {
		return err
	}
	if l.A.Locker() != l.B.Locker() || l.A.Locker() != l.V.Locker() {
		return fmt.Errorf("one lock arrived as several: %p %p %p", l.A.Locker(), l.B.Locker(), l.V.Locker())
	}
	l.B.Lock()
	h.Say("locked")
	if _, err := h.Listen(); err != nil {
		return err
	}
	l.B.Unlock()
	h.Ready()
	for range 2000 {
		l.A.Do(func(v []int64) {
			v[1]++
			*l.V.Ptr()++ // guarded by the same lock
		})
	}
	for _, close := range []func() error{l.A.Close, l.B.Close, l.V.Close} {
		if err := close(); err != nil {
			return err
		}
	}
	if len(mappings.byKey) != 0 {
		return fmt.Errorf("%d mappings are left", len(mappings.byKey))
	}
	return nil
})

func TestGivenLockInAnotherProcess(t *testing.T) {
	for name, given := range givenLocks {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			l := newLent(t, given(t))
			p := hand(t, borrower, l)
			p.Expect(t, "locked")
			require.False(t, l.A.TryLock())
			require.False(t, l.V.TryLock())
			pid, _ := l.A.Locker().Holder()
			require.Equal(t, p.Pid(), pid)
			p.Tell(t, "unlock")
			proctest.Gate(t, p)
			for range 2000 {
				l.V.Do(func(n *int64) {
					*n++
					l.A.View()[1]++
				})
			}
			require.NoError(t, p.Wait(t))
			require.EqualValues(t, 4004, l.V.Get())
			require.EqualValues(t, 4002, l.A.At(1))
		})
	}
}

// The lender may be closed first: the lock lives on.
func TestGivenLockOutlivesItsSegment(t *testing.T) {
	proctest.NoLeaks(t)
	lender, err := NewArray[byte](1, &Options{Name: "lender"})
	require.NoError(t, err)
	a, err := NewArray[byte](1, &Options{Lock: lender.Locker()})
	require.NoError(t, err)
	require.NoError(t, lender.Close())
	require.Equal(t, 1, mapped(t, "lender"))
	a.Do(func(v []byte) { v[0]++ })
	require.NoError(t, a.Close())
	require.Zero(t, mapped(t, "lender"))
}

// stranger has the methods of a lock but is none of ours.
type stranger struct{ psync.Locker }

func TestLocksThatCannotBeGiven(t *testing.T) {
	proctest.NoLeaks(t)
	good := testArray[byte](t, nil, 1)
	for name, opts := range map[string]*Options{
		"on the heap":         {Lock: new(psync.Mutex)},
		"recursive, the heap": {Lock: new(psync.RMutex)},
		"nil":                 {Lock: (*psync.Mutex)(nil)},
		"of another type":     {Lock: stranger{good.Locker()}},
		"and none":            {Lock: good.Locker(), NoLock: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewArray[byte](1, opts)
			require.ErrorIs(t, err, ErrLock)
			_, err = NewValue(1, opts)
			require.ErrorIs(t, err, ErrLock)
		})
	}
	_, err := NewArray[byte](1<<55, &Options{Lock: good.Locker()})
	require.Error(t, err)
	require.Equal(t, 1, good.mapping.refs, "a constructor that fails gives back the lock's segment")
}

func TestNoLock(t *testing.T) {
	a := testArray(t, &Options{NoLock: true}, 1, 2, 3)
	v := testValue(t, 1, &Options{NoLock: true})
	require.Nil(t, a.Locker())
	a.Set(1, 20)
	require.Equal(t, []int{1, 20, 3}, a.Copy())
	require.NoError(t, a.Assign([]int{7}, -1))
	require.Equal(t, 7, a.At(2))
	v.Set(v.Get() + 1)
	require.Equal(t, 2, *v.Ptr())
	for name, fn := range map[string]func(){
		"Do":                func() { a.Do(func([]int) {}) },
		"DoContext":         func() { _ = a.DoContext(t.Context(), func([]int) {}) },
		"Lock":              func() { a.Lock() },
		"Unlock":            func() { a.Unlock() },
		"TryLock":           func() { a.TryLock() },
		"LockContext":       func() { _ = a.LockContext(t.Context()) },
		"MarkConsistent":    func() { a.MarkConsistent() },
		"Do of a value":     func() { v.Do(func(*int) {}) },
		"Unlock of a value": func() { v.Unlock() },
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, panicOf(t, fn), ErrNoLock) })
	}
}

// Single accesses of goroutines exclude each other, also with a given Mutex.
func TestGoroutinesExclude(t *testing.T) {
	mu, err := Place[psync.Mutex](testSegment(t, 8), 0)
	require.NoError(t, err)
	for name, opts := range map[string]*Options{"own lock": nil, "given Mutex": {Lock: mu}} {
		t.Run(name, func(t *testing.T) {
			a := testArray(t, opts, make([][16]int64, 2)...)
			var all sync.WaitGroup
			for g := range int64(4) {
				all.Go(func() {
					var mine [16]int64
					for i := range mine {
						mine[i] = g
					}
					for range 1000 {
						a.Set(1, mine)
						if v := a.At(-1); v[0] != v[15] {
							t.Errorf("a torn element: %v", v)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}
