package shm

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func newCode(t *testing.T, code string, n int) AnyArray {
	c, err := ParseCode(code)
	require.NoError(t, err)
	require.Equal(t, code, c.String())
	a, err := NewArrayCode(c, n, nil)
	require.NoError(t, err)
	closing(t, a)
	return a
}

func TestCodes(t *testing.T) {
	proctest.NoLeaks(t)
	for code, want := range map[string]AnyArray{
		"b": (*Array[int8])(nil), "B": (*Array[uint8])(nil), "h": (*Array[int16])(nil), "H": (*Array[uint16])(nil),
		"i": (*Array[int32])(nil), "I": (*Array[uint32])(nil), "l": (*Array[int64])(nil), "L": (*Array[uint64])(nil),
		"q": (*Array[int64])(nil), "Q": (*Array[uint64])(nil), "f": (*Array[float32])(nil), "d": (*Array[float64])(nil),
	} {
		t.Run(code, func(t *testing.T) {
			a := newCode(t, code, 3)
			require.IsType(t, want, a)
			require.Equal(t, 3, a.Len())
		})
	}
	a := newCode(t, "d", 2).(*Array[float64])
	a.Set(-1, math.Inf(-1))
	require.Equal(t, []float64{0, math.Inf(-1)}, a.Copy())
	require.Equal(t, "shm.Array[float64](2)", AnyArray(a).String())
}

type celsius float32

// The directory records the code of a type by what it is made of.
func TestCodeInDirectory(t *testing.T) {
	for _, tt := range []struct {
		array interface{ entry(testing.TB) entry }
		code  Code
	}{
		{inDirectory(testArray[int8](t, nil)), 'b'},
		{inDirectory(testArray[uint8](t, nil)), 'B'},
		{inDirectory(testArray[int64](t, nil)), 'l'},
		{inDirectory(testArray[uint64](t, nil)), 'L'},
		{inDirectory(testArray[celsius](t, nil)), 'f'},
		{inDirectory(testArray[int](t, nil)), 0},
		{inDirectory(testArray[bool](t, nil)), 0},
		{inDirectory(testArray[point](t, nil)), 0},
		{inDirectory(testArray[[2]int32](t, nil)), 0},
	} {
		require.EqualValues(t, tt.code, tt.array.entry(t).Code, "%v", tt.array)
	}
}

type directoryOf[T any] struct{ *Array[T] }

func inDirectory[T any](a *Array[T]) directoryOf[T] { return directoryOf[T]{a} }

func (d directoryOf[T]) entry(t testing.TB) entry {
	e, err := readEntry(d.mapping.file, d.mapping.size, d.index)
	require.NoError(t, err)
	return e
}

func TestUnknownCodes(t *testing.T) {
	for _, s := range []string{"", "c", "u", "ii", "é", " i", "\x00"} {
		_, err := ParseCode(s)
		require.ErrorIs(t, err, ErrCode, "%q", s)
	}
	_, err := ParseCode("x")
	require.EqualError(t, err, `unknown type code "x": the codes are b B h H i I l L q Q f d`)
	a, err := NewArrayCode('x', 1, nil)
	require.Nil(t, a)
	require.EqualError(t, err, `shm: array: create: unknown type code 'x'`)
	require.ErrorIs(t, err, ErrCode)
}

func TestNewArrayCodeFails(t *testing.T) {
	a, err := NewArrayCode('i', -1, nil)
	require.ErrorIs(t, err, ErrSize)
	require.True(t, a == nil, "no nil *Array in an interface")
}
