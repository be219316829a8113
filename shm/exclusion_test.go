package shm

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// shares is what the adders have in common: plain memory and its locks.
type shares struct {
	Array *Array[int64]
	Value *Value[uint32]
}

// turn does one step of work in each of the ways to guard memory. Nothing here
// is atomic: the sums are right only if the lock excludes, and if what one
// process wrote under it is what the next one reads.
func (s shares) turn() {
	s.Array.Do(func(v []int64) {
		for i := range v {
			v[i] += int64(i + 1)
		}
	})
	s.Array.Lock()
	v := s.Array.View()
	v[0]++
	s.Array.Lock()
	v[len(v)-1]++
	s.Array.Unlock()
	s.Array.Set(1, s.Array.At(1)+1)
	s.Array.Unlock()
	s.Value.Do(func(n *uint32) { *n++ })
}

var adder = proctest.Register("adder", func(h *proctest.Helper) error {
	s, err := take[shares](h)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	h.Ready()
	for range n {
		s.turn()
	}
	return nil
})

func TestSumsOfSeveralProcesses(t *testing.T) {
	for _, tt := range []struct{ procs, turns int }{
		{1, 1000},
		{2, 10_000},
		{2*runtime.NumCPU() + 8, 3000}, // more processes than CPUs
	} {
		t.Run(fmt.Sprint(tt.procs), func(t *testing.T) {
			proctest.NoLeaks(t)
			s := shares{testArray(t, nil, make([]int64, 100)...), testValue[uint32](t, 0, nil)}
			var procs []*proctest.Proc
			for range tt.procs {
				procs = append(procs, hand(t, adder, s, strconv.Itoa(tt.turns)))
			}
			proctest.Gate(t, procs...)
			for _, p := range procs {
				require.NoError(t, p.Wait(t))
			}
			n := int64(tt.procs * tt.turns)
			want := make([]int64, 100)
			for i := range want {
				want[i] = n * int64(i+1)
			}
			want[0] += n
			want[1] += n
			want[99] += n
			require.Equal(t, want, s.Array.View())
			require.EqualValues(t, n, s.Value.Get())
		})
	}
}

// assigner changes all elements at once until it is told to stop.
var assigner = proctest.Register("assigner", func(h *proctest.Helper) error {
	s, err := take[shares](h)
	if err != nil {
		return err
	}
	values := make([]int64, s.Array.Len())
	h.Ready()
	for n := int64(1); s.Value.Get() == 0; n++ {
		for i := range values {
			values[i] = n
		}
		if err := s.Array.Assign(values, Omit, Omit, -1); err != nil {
			return err
		}
	}
	return nil
})

// Copy sees one moment, never half of somebody's Assign.
func TestCopyIsASnapshot(t *testing.T) {
	proctest.NoLeaks(t)
	s := shares{testArray(t, nil, make([]int64, 2000)...), testValue[uint32](t, 0, nil)}
	p := hand(t, assigner, s)
	proctest.Gate(t, p)
	for range 3000 {
		c := s.Array.Copy()
		for i, v := range c {
			if v != c[0] {
				require.FailNow(t, "a torn copy", "element %d is %d, the first is %d", i, v, c[0])
			}
		}
	}
	s.Value.Set(1)
	require.NoError(t, p.Wait(t))
	require.NotZero(t, s.Array.At(0))
}
