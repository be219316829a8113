package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A parcel has shared objects at every place where one can stand.
type parcel struct {
	A, Again *shm.Array[int32]
	None     *shm.Array[int32]
	ByName   map[string]*shm.Array[int32]
	List     []*shm.Value[float64]
	Inner    *struct{ Pair [2]*shm.Value[float64] }
	Note     string
}

// unpack writes through every object.
var unpack = proc.RegisterTask("unpack", func(_ context.Context, p *parcel) error {
	if p.None != nil || p.Note != "fragile" {
		return fmt.Errorf("arrived as %v, %q", p.None, p.Note)
	}
	p.A.Set(0, p.A.At(0)+1)
	p.Again.Set(1, p.Again.At(0)) // sees the write through A
	p.ByName["other"].Set(-1, 42)
	p.ByName["same"].Set(2, 7)
	p.List[1].Set(p.List[0].Get() / 2)
	p.Inner.Pair[0].Do(func(v *float64) { *v++ })

	// Both stand for one lock: a recursive one.
	p.A.Lock()
	defer p.A.Unlock()
	if !p.Again.TryLock() {
		return errors.New("the same array twice has two locks")
	}
	p.Again.Unlock()
	return nil
})

func newArray(t *testing.T, values ...int32) *shm.Array[int32] {
	t.Helper()
	a, err := shm.ArrayOf(values, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a
}

func newValue(t *testing.T, x float64) *shm.Value[float64] {
	t.Helper()
	v, err := shm.NewValue(x, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	return v
}

func TestSharedObjectsAnywhereInside(t *testing.T) {
	proctest.NoLeaks(t)
	a, other := newArray(t, 10, 20, 30), newArray(t, 1, 2)
	x, y := newValue(t, 3), newValue(t, 0)
	p := &parcel{
		A: a, Again: a,
		ByName: map[string]*shm.Array[int32]{"other": other, "same": a},
		List:   []*shm.Value[float64]{x, y},
		Inner:  &struct{ Pair [2]*shm.Value[float64] }{[2]*shm.Value[float64]{x, y}},
		Note:   "fragile",
	}
	result(t, unpack, p)
	require.Equal(t, []int32{11, 11, 7}, a.Copy())
	require.Equal(t, []int32{1, 42}, other.Copy())
	require.Equal(t, 4.0, x.Get())
	require.Equal(t, 1.5, y.Get())
	require.Same(t, a, p.A) // the argument was not touched
}

var sum = proc.Register("sum", func(_ context.Context, arrays []*shm.Array[int32]) (sum int32, err error) {
	for _, a := range arrays {
		for _, x := range a.All() {
			sum += x
		}
	}
	return sum, nil
})

// More than the kernel passes in one message, which is 253.
func TestManySharedObjects(t *testing.T) {
	proctest.NoLeaks(t)
	var arrays []*shm.Array[int32]
	want := int32(0)
	for i := range int32(300) {
		arrays = append(arrays, newArray(t, i))
		want += i
	}
	require.Equal(t, want, result(t, sum, arrays))
}

// The worker of the course: a process for each element of the array.
func TestOneProcessForEachElement(t *testing.T) {
	proctest.NoLeaks(t)
	a := newArray(t, 2, 3, 6, 7, 8, 8, 9, 3, 3, 3)
	var procs []*proc.Call[proc.None]
	for i := range a.Len() {
		procs = append(procs, start(t, squareElement, element{a, i}, nil))
	}
	for _, p := range procs {
		require.NoError(t, p.Join(t.Context()))
	}
	require.Equal(t, []int32{4, 9, 36, 49, 64, 64, 81, 9, 9, 9}, a.Copy())
}

type element struct {
	Array *shm.Array[int32]
	Index int
}

var squareElement = proc.RegisterTask("square element", func(_ context.Context, e element) error {
	e.Array.Do(func(v []int32) { v[e.Index] *= v[e.Index] })
	return nil
})

type made struct {
	Numbers *shm.Array[int32]
	Total   map[string]*shm.Value[int64]
}

var makeShared = proc.Register("make shared", func(_ context.Context, n int) (m made, err error) {
	if m.Numbers, err = shm.NewArray[int32](n, nil); err != nil {
		return m, err
	}
	m.Numbers.Do(func(v []int32) {
		for i := range v {
			v[i] = int32(i)
		}
	})
	total, err := shm.NewValue(int64(n*(n-1)/2), nil)
	m.Total = map[string]*shm.Value[int64]{"total": total}
	return m, err
})

func TestSharedObjectsMadeInChild(t *testing.T) {
	proctest.NoLeaks(t)
	m := result(t, makeShared, 100)
	require.Equal(t, int32(99), m.Numbers.At(-1))
	require.EqualValues(t, 4950, m.Total["total"].Get())

	// They are as good as any others: they go on to the next child.
	require.EqualValues(t, 4950, result(t, sum, []*shm.Array[int32]{m.Numbers}))
	require.NoError(t, m.Numbers.Close())
	require.NoError(t, m.Total["total"].Close())
}

// All calls return the same, to be closed once.
func TestSharedResultAskedTwice(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, makeShared, 3, nil)
	first, err := c.Result(t.Context())
	require.NoError(t, err)
	second, err := c.Result(t.Context())
	require.NoError(t, err)
	require.Same(t, first.Numbers, second.Numbers)
	require.NoError(t, first.Numbers.Close())
	require.NoError(t, first.Total["total"].Close())
}

// What arrived is given up when the process is.
func TestSharedResultThatNobodyAsksFor(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, makeShared, 3, nil)
	require.NoError(t, c.Join(t.Context()))
	require.NoError(t, c.Close())
}

func TestClosedArrayAsArgument(t *testing.T) {
	proctest.NoLeaks(t)
	a, err := shm.NewArray[int32](1, nil)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	_, err = sum.Start(t.Context(), []*shm.Array[int32]{a}, nil)
	require.ErrorIs(t, err, shm.ErrClosed)
	require.ErrorContains(t, err, "encode the argument")
}

// Descriptors that were taken for the encoded argument are closed again.
func TestArgumentThatFailsHalfway(t *testing.T) {
	proctest.NoLeaks(t)
	closed, err := shm.NewArray[int32](1, nil)
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, err = sum.Start(t.Context(), []*shm.Array[int32]{newArray(t, 1), closed}, nil)
	require.ErrorIs(t, err, shm.ErrClosed)
}

var squareHalf = proc.RegisterTask("square half", func(_ context.Context, w work) error {
	p, err := call(w.Addr)
	if err != nil {
		return err
	}
	w.Array.Do(func(v []int32) {
		for i := range v {
			if i == len(v)/2 {
				_, err = p.converse("half")
			}
			v[i] *= v[i]
		}
	})
	return err
})

type work struct {
	Array *shm.Array[int32]
	Addr  string
}

func TestWorkerKilledInTheMiddleOfTheArray(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	a := newArray(t, 2, 3, 4, 5)
	c := start(t, squareHalf, work{a, x.addr}, nil)
	x.answer(t).expect(t, "half")
	require.False(t, a.TryLock(), "it holds the lock")
	c.Kill()
	var exit *proc.ExitError
	require.ErrorAs(t, c.Join(t.Context()), &exit)
	require.Equal(t, -9, exit.Code)

	// The next child is told, and so is the parent.
	err := start(t, repair, a, nil).Join(t.Context())
	require.ErrorIs(t, err, psync.ErrOwnerDied)
	err = a.LockContext(t.Context())
	require.ErrorIs(t, err, psync.ErrOwnerDied)
	require.Equal(t, []int32{4, 9, 4, 5}, a.View())
	a.MarkConsistent()
	a.Unlock()
	require.NoError(t, start(t, repair, a, nil).Join(t.Context()))
}

// repair does not repair: it leaves that to others.
var repair = proc.RegisterTask("repair", func(ctx context.Context, a *shm.Array[int32]) error {
	err := a.LockContext(ctx)
	a.Unlock()
	return err
})

var panicLocked = proc.RegisterTask("panic locked", func(_ context.Context, a *shm.Array[int32]) error {
	a.Lock()
	panic(fmt.Errorf("process %d lost its head", os.Getpid()))
})

// The locks of a process that panicked are those of a dead one.
func TestPanicLeavesLockAbandoned(t *testing.T) {
	proctest.NoLeaks(t)
	a := newArray(t, 1)
	c := start(t, panicLocked, a, nil)
	var p *proc.PanicError
	require.ErrorAs(t, c.Join(t.Context()), &p)
	var died *psync.OwnerDiedError
	require.ErrorAs(t, a.LockContext(t.Context()), &died)
	require.Equal(t, c.Pid(), died.Pid)
	a.MarkConsistent()
	a.Unlock()
}
