package shm

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// An account has a lock of its own inside: the array needs none.
type account struct {
	Mu      psync.Mutex
	Balance int64
}

type bank struct {
	Accounts [2]account
	Closed   bool
}

// Elements that contain a lock are used by pointer only.
func TestElementsWithLocks(t *testing.T) {
	proctest.NoLeaks(t)
	a, err := NewArray[bank](3, &Options{NoLock: true})
	require.NoError(t, err)
	closing(t, a)
	for name, fn := range map[string]func(){
		"At":             func() { a.At(0) },
		"Set":            func() { a.Set(0, bank{}) },
		"Copy":           func() { a.Copy() },
		"Assign":         func() { _ = a.Assign(nil) },
		"Assign nothing": func() { _ = a.Assign(nil, 0, 0) },
		"All": func() {
			for range a.All() {
				t.Error("it went on")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := panicOf(t, fn)
			require.ErrorIs(t, err, ErrType)
			require.ErrorContains(t, err, "bank.Accounts[].Mu is a lock")
		})
	}
	mine := &a.View()[2].Accounts[1]
	mine.Mu.Lock()
	mine.Balance++
	mine.Mu.Unlock()

	_, err = ArrayOf(make([]bank, 2), nil)
	require.ErrorIs(t, err, ErrType)
	require.ErrorContains(t, err, "bank.Accounts[].Mu is a lock")
	require.Len(t, mappings.byKey, 1)
}

func TestValueWithLocks(t *testing.T) {
	proctest.NoLeaks(t)
	v := testValue(t, bank{}, nil)
	require.ErrorIs(t, panicOf(t, func() { v.Get() }), ErrType)
	require.ErrorIs(t, panicOf(t, func() { v.Set(bank{}) }), ErrType)
	v.Do(func(b *bank) {
		b.Accounts[0].Mu.Lock()
		b.Closed = true
		b.Accounts[0].Mu.Unlock()
	})
	require.True(t, v.Ptr().Closed)

	_, err := NewValue(bank{Closed: true}, nil)
	require.ErrorIs(t, err, ErrType)
	require.ErrorContains(t, err, "bank.Accounts[].Mu is a lock, so the first value must be zero")
	require.Len(t, mappings.byKey, 1)
}

var teller = proctest.Register("teller", func(h *proctest.Helper) error {
	a, err := take[*Array[account]](h)
	if err != nil {
		return err
	}
	h.Ready()
	for i := range 5000 {
		deposit(a, i)
	}
	return a.Close()
})

func deposit(a *Array[account], i int) {
	acc := &a.View()[i%a.Len()]
	acc.Mu.Lock()
	acc.Balance++
	acc.Mu.Unlock()
}

func TestElementLocksExcludeProcesses(t *testing.T) {
	proctest.NoLeaks(t)
	a, err := NewArray[account](4, &Options{NoLock: true})
	require.NoError(t, err)
	closing(t, a)
	p, q := hand(t, teller, a), hand(t, teller, a)
	proctest.Gate(t, p, q)
	for i := range 5000 {
		deposit(a, i)
	}
	require.NoError(t, p.Wait(t))
	require.NoError(t, q.Wait(t))
	for i := range a.View() {
		require.EqualValues(t, 3*5000/4, a.View()[i].Balance, fmt.Sprint(i))
	}
}
