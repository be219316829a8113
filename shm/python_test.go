package shm

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// The cases of CPython's test-suite, with its numbers. The process that a case
// starts is a helper here; package proc has the same with its own.

// withAndWithout runs a case with locks, and as Python's raw variant without.
func withAndWithout(t *testing.T, test func(*testing.T, *Options)) {
	t.Run("with lock", func(t *testing.T) { proctest.NoLeaks(t); test(t, nil) })
	t.Run("raw", func(t *testing.T) { proctest.NoLeaks(t); test(t, &Options{NoLock: true}) })
}

type pythonValues struct {
	I *Value[int32]
	D *Value[float64]
	H *Value[int16]
	Q *Value[int64]
	C *Value[byte]
}

var setter = proctest.Register("setter", func(h *proctest.Helper) error {
	v, err := take[pythonValues](h)
	if err != nil {
		return err
	}
	v.I.Set(24234)
	v.D.Set(-4.25)
	v.H.Set(234)
	v.Q.Set(1 << 34)
	v.C.Set('y')
	return nil
})

// Python: _TestValue.test_value
// Python: _TestValue.test_rawvalue
func TestPythonValue(t *testing.T) {
	withAndWithout(t, func(t *testing.T, opts *Options) {
		v := pythonValues{
			I: testValue[int32](t, 4343, opts), D: testValue(t, 3.625, opts), H: testValue[int16](t, -232, opts),
			Q: testValue[int64](t, 1<<33, opts), C: testValue[byte](t, 'x', opts),
		}
		all := func() []any { return []any{v.I.Get(), v.D.Get(), v.H.Get(), v.Q.Get(), v.C.Get()} }
		require.Equal(t, []any{int32(4343), 3.625, int16(-232), int64(1 << 33), byte('x')}, all())
		require.NoError(t, hand(t, setter, v).Wait(t))
		require.Equal(t, []any{int32(24234), -4.25, int16(234), int64(1 << 34), byte('y')}, all())
	})
}

// Python: _TestValue.test_getobj_getlock — differs: Locker is get_lock and Ptr is get_obj; Lock cannot be something that is no lock, the compiler sees to that; Lock of a raw object panics where Python lacks the method
func TestPythonValueLocks(t *testing.T) {
	own := testValue[int32](t, 5, nil)
	require.NotNil(t, own.Locker())
	require.EqualValues(t, 5, *own.Ptr())

	lock, err := Place[psync.Mutex](testSegment(t, 64), 0)
	require.NoError(t, err)
	given := testValue[int32](t, 5, &Options{Lock: lock})
	require.Same(t, lock, given.Locker())
	require.EqualValues(t, 5, *given.Ptr())

	raw := testValue[int32](t, 5, &Options{NoLock: true})
	require.Nil(t, raw.Locker())
	require.ErrorIs(t, panicOf(t, raw.Lock), ErrNoLock)
}

// summer replaces each element by the sum of all up to it.
var summer = proctest.Register("summer", func(h *proctest.Helper) error {
	a, err := take[*Array[int32]](h)
	if err != nil {
		return err
	}
	for i := 1; i < a.Len(); i++ {
		a.Set(i, a.At(i)+a.At(i-1))
	}
	return nil
})

// Python: _TestArray.test_array
// Python: _TestArray.test_rawarray
func TestPythonArray(t *testing.T) {
	withAndWithout(t, func(t *testing.T, opts *Options) {
		seq := []int32{680, 626, 934, 821, 150, 233, 548, 982, 714, 831}
		a := testArray(t, opts, seq...)
		require.Equal(t, len(seq), a.Len())
		require.Equal(t, seq[3], a.At(3))
		require.Equal(t, seq[2:7], a.Copy(2, 7))

		copy(seq[4:8], []int32{1, 2, 3, 4})
		require.NoError(t, a.Assign([]int32{1, 2, 3, 4}, 4, 8))
		require.Equal(t, seq, a.Copy())

		require.NoError(t, hand(t, summer, a).Wait(t))
		for i := 1; i < len(seq); i++ {
			seq[i] += seq[i-1]
		}
		require.Equal(t, seq, a.Copy())
	})
}

// Python: _TestArray.test_array_from_size
func TestPythonArrayFromSize(t *testing.T) {
	for range 3 { // memory that was used before must be zero again
		a, err := NewArray[int32](10, nil)
		require.NoError(t, err)
		require.Equal(t, 10, a.Len())
		require.Equal(t, make([]int32, 10), a.Copy())
		numbers := []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		require.NoError(t, a.Assign(numbers))
		require.Equal(t, numbers, a.Copy())
		require.NoError(t, a.Close())
	}
}

// Python: _TestArray.test_getobj_getlock_obj — differs: Locker is get_lock and View is get_obj; Lock cannot be something that is no lock, the compiler sees to that; Lock of a raw object panics where Python lacks the method
func TestPythonArrayLocks(t *testing.T) {
	numbers := []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	own := testArray(t, nil, numbers...)
	require.NotNil(t, own.Locker())
	require.Equal(t, numbers, own.View())

	lock, err := Place[psync.RMutex](testSegment(t, 64), 0)
	require.NoError(t, err)
	given := testArray(t, &Options{Lock: lock}, numbers...)
	require.Same(t, lock, given.Locker())
	require.Equal(t, numbers, given.View())

	raw := testArray(t, &Options{NoLock: true}, numbers...)
	require.Nil(t, raw.Locker())
	require.ErrorIs(t, panicOf(t, raw.Lock), ErrNoLock)
}

// foo is a ctypes structure.
type foo struct {
	X int32
	Y float64
	Z int64
}

type pythonTypes struct {
	X      *Value[int32]
	Y      *Value[float64]
	Z      *Value[int64]
	Foo    *Value[foo]
	Array  *Array[float64]
	String *Array[byte]
}

// doubler doubles everything.
var doubler = proctest.Register("doubler", func(h *proctest.Helper) error {
	p, err := take[pythonTypes](h)
	if err != nil {
		return err
	}
	p.X.Set(p.X.Get() * 2)
	p.Y.Set(p.Y.Get() * 2)
	p.Z.Set(p.Z.Get() * 2)
	f := p.Foo.Get()
	p.Foo.Set(foo{f.X * 2, f.Y * 2, f.Z})
	for i, v := range p.Array.All() {
		p.Array.Set(i, v*2)
	}
	text := Text(p.String)
	return SetText(p.String, append(text, text...))
})

// Python: _TestSharedCTypes.test_sharedctypes
// Python: _TestSharedCTypes.test_synchronize
func TestPythonSharedTypes(t *testing.T) {
	withAndWithout(t, func(t *testing.T, opts *Options) {
		p := pythonTypes{
			X: testValue[int32](t, 7, opts), Y: testValue(t, 1.0/3, opts), Z: testValue[int64](t, 1<<33, opts),
			Foo:    testValue(t, foo{X: 3, Y: 2}, opts),
			Array:  testArray(t, opts, 0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
			String: testArray(t, opts, make([]byte, 20)...),
		}
		require.NoError(t, SetText(p.String, []byte("hello")))
		require.NoError(t, hand(t, doubler, p).Wait(t))
		require.EqualValues(t, 14, p.X.Get())
		require.Equal(t, 2.0/3, p.Y.Get())
		require.EqualValues(t, 1<<34, p.Z.Get())
		require.Equal(t, foo{X: 6, Y: 4}, p.Foo.Get())
		require.Equal(t, []float64{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}, p.Array.Copy())
		require.Equal(t, "hellohello", string(Text(p.String)))
	})
}

// Python: _TestSharedCTypes.test_copy — differs: Get is the copy, and NewValue makes it a shared one
func TestPythonCopy(t *testing.T) {
	original := testValue(t, foo{2, 5, 1 << 33}, nil)
	copied := testValue(t, original.Get(), nil)
	original.Set(foo{})
	require.Equal(t, foo{2, 5, 1 << 33}, copied.Get())
	require.Equal(t, "{0 0 0}", fmt.Sprint(original.Get()))
}
