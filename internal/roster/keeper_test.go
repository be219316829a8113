package roster

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// forker forks without exec and tells how the fork ended.
var forker = proctest.Register("forker", func(h *proctest.Helper) error {
	if !join(h) {
		return nil
	}
	pid, errno := forkedSelf(Self)
	if errno != 0 {
		return errno
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(int(pid), &status, 0, nil); err != nil {
		return err
	}
	h.Say(fmt.Sprint("the fork exits with ", status.ExitStatus()))
	return nil
})

// resident joins from many goroutines at once and looks at all that a process
// knows of itself.
var resident = proctest.Register("resident", func(h *proctest.Helper) error {
	if err := os.Setenv(Variable, h.Args[0]); err != nil {
		return err
	}
	if Me() != 0 || *Self != 0 {
		return fmt.Errorf("an identity before Join: %v", Me())
	}
	const callers = 50
	ids := make(chan ID, callers)
	var joins sync.WaitGroup
	for range callers {
		joins.Go(func() {
			id, err := Join()
			if err != nil {
				panic(err)
			}
			ids <- id
		})
	}
	joins.Wait()
	close(ids)
	for id := range ids {
		if id == 0 || id != Me() || uint64(id) != *Self {
			return fmt.Errorf("joined as %v, but is %v", id, Me())
		}
	}
	s := Look(Me())
	if !s.Alive || s.Pid != os.Getpid() {
		return fmt.Errorf("sees itself as %+v", s)
	}
	_ = Fence(context.Background(), Me()) // of oneself there is nothing to wait for
	for range 10 {
		var tid int
		OnKeeper(func() { tid = unix.Gettid() })
		if s.Seen != uint32(tid)|waiters {
			return fmt.Errorf("the errand ran on thread %d, the liveness word is %#x", tid, s.Seen)
		}
	}
	h.Say(fmt.Sprintf("%d %x %s", uint32(Me()), TableID(), File().Name()))
	return nil
})

// early sees a name of its process before there is a table, as another goroutine
// may on a processor that reorders stores.
var early = proctest.Register("early", func(h *proctest.Helper) error {
	if err := os.Setenv(Variable, h.Args[0]); err != nil {
		return err
	}
	*Self = uint64(makeID(1, 1))
	id, err := Join()
	if err != nil {
		return err
	}
	if s := Look(id); !s.Alive || s.Pid != os.Getpid() {
		return fmt.Errorf("sees itself as %+v", s)
	}
	h.Say("joined")
	return nil
})

// Who has joined can look at others: Join returns no name without the table.
func TestNameBeforeTable(t *testing.T) {
	_, path := newTable(t, 2)
	p := early.Start(t, nil, path)
	p.Expect(t, "joined")
	require.NoError(t, p.Wait(t))
}

func TestJoinOnce(t *testing.T) {
	tab, path := newTable(t, 3)
	p := resident.Start(t, nil, path)
	p.Expect(t, fmt.Sprintf("%d %x %s", uint32(makeID(0, 1)), tab.header.id, path))
	require.NoError(t, p.Wait(t))
	require.EqualValues(t, 1, tab.header.cursor.Load(), "one claim")
}

func TestSlotsInTurn(t *testing.T) {
	_, path := newTable(t, 4)
	a, idA := start(t, path)
	_, idB := start(t, path)
	require.NotEqual(t, idA, idB)
	a.Kill(t)
	_, idC := start(t, path)
	_, idD := start(t, path)
	_, idE := start(t, path)
	require.Equal(t, []ID{makeID(0, 1), makeID(1, 1), makeID(2, 1), makeID(3, 1), makeID(0, 2)}, []ID{idA, idB, idC, idD, idE})
	require.Equal(t, Sight{}, Look(idA), "its slot belongs to another process now")
	require.True(t, Look(idB).Alive)
	require.True(t, Look(idE).Alive)
}

// patient tries again when it is told to.
var patient = proctest.Register("patient", func(h *proctest.Helper) error {
	for !join(h) {
		if _, err := h.Listen(); err != nil {
			return err
		}
	}
	return nil
})
