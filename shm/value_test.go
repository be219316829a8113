package shm

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestValue(t *testing.T) {
	proctest.NoLeaks(t)
	v, err := NewValue(point{X: 3, On: true}, &Options{Name: "place"})
	require.NoError(t, err)
	require.Equal(t, 1, mapped(t, "place"))
	require.Equal(t, point{X: 3, On: true}, v.Get())
	v.Set(point{Y: 4})
	require.Equal(t, point{Y: 4}, v.Get())
	v.Do(func(p *point) {
		require.True(t, held(v))
		p.X = v.Get().Y // the lock is recursive
	})
	require.False(t, held(v))
	require.Equal(t, point{X: 4, Y: 4}, *v.Ptr())
	v.Ptr().X = 5
	require.EqualValues(t, 5, v.Get().X)
	require.Same(t, v.Ptr(), v.Ptr())
	require.Equal(t, "shm.Value[shm.point]", v.String())
	require.NoError(t, v.Close())
	require.Zero(t, mapped(t, "place"))
}

func TestValueDoUnlocksOnPanic(t *testing.T) {
	boom := errors.New("boom")
	v := testValue(t, 1, nil)
	require.Equal(t, boom, panicOf(t, func() { v.Do(func(*int) { panic(boom) }) }))
	require.False(t, held(v))
	require.Equal(t, boom, panicOf(t, func() { _ = v.DoContext(t.Context(), func(*int) { panic(boom) }) }))
	require.False(t, held(v))
}

func TestValueDoContext(t *testing.T) {
	v := testValue(t, 1, nil)
	require.NoError(t, v.DoContext(t.Context(), func(n *int) { *n++ }))
	require.Equal(t, 2, v.Get())

	locked, finish, finished := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		v.Do(func(*int) {
			close(locked)
			<-finish
		})
		close(finished)
	}()
	<-locked
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- v.DoContext(ctx, func(n *int) { *n = 0 }) }()
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	require.Equal(t, 2, *v.Ptr())
	close(finish)
	<-finished
}

func TestClosedValue(t *testing.T) {
	proctest.NoLeaks(t)
	v, err := NewValue(1.5, nil)
	require.NoError(t, err)
	require.NoError(t, v.Close())
	require.ErrorIs(t, v.Close(), ErrClosed)
	require.Nil(t, v.Locker())
	require.Equal(t, "shm.Value[float64](closed)", v.String())
	require.ErrorIs(t, v.DoContext(t.Context(), func(*float64) { t.Error("it ran") }), ErrClosed)
	require.ErrorIs(t, v.LockContext(t.Context()), ErrClosed)
	for name, fn := range map[string]func(){
		"Get":            func() { v.Get() },
		"Set":            func() { v.Set(2) },
		"Do":             func() { v.Do(func(*float64) { t.Error("it ran") }) },
		"Ptr":            func() { v.Ptr() },
		"Lock":           func() { v.Lock() },
		"Unlock":         func() { v.Unlock() },
		"TryLock":        func() { v.TryLock() },
		"MarkConsistent": func() { v.MarkConsistent() },
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, panicOf(t, fn), ErrClosed) })
	}
}
