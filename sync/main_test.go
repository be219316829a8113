package sync_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

func TestMain(m *testing.M) { proctest.Main(m) }

// A scene is the shared memory of a test: a lock of each kind, and what they
// guard.
type scene struct {
	Mutex   psync.Mutex
	RMutex  psync.RMutex
	N       int64 // a plain add under a lock: the sum is short if the lock does not exclude
	RWMutex psync.RWMutex
}

// lock returns one of the locks by name.
func (s *scene) lock(name string) psync.Locker {
	switch name {
	case "rmutex":
		return &s.RMutex
	case "rwmutex":
		return &s.RWMutex
	}
	return &s.Mutex
}

// word returns the lock's 32-bit word: all locks begin with it.
func (s *scene) word(name string) func() uint32 {
	low, _ := halves(s.lock(name))
	return low.Load
}

var lockNames = []string{"mutex", "rmutex"}

// stage makes the shared memory of a test.
func stage[S any](t testing.TB) (*S, *os.File) {
	t.Helper()
	seg, err := shm.Create("scene", 4096)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, seg.Close()) })
	s, err := shm.Place[S](seg, 0)
	require.NoError(t, err)
	return s, seg.File()
}

// enter is stage's counterpart in a helper.
func enter[S any](h *proctest.Helper) (*S, error) {
	seg, err := shm.Attach(h.Files[0])
	if err != nil {
		return nil, err
	}
	return shm.Place[S](seg, 0)
}

// actor does with a lock what it is told, and says how that went.
var actor = proctest.Register("actor", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	l := s.lock(h.Args[0])
	for {
		order, err := h.Listen()
		if err != nil {
			return err
		}
		h.Say(act(l, order))
	}
})

// act returns the outcome of one operation: ok, no, died PID, panic TEXT, or
// the error's text.
func act(l psync.Locker, order string) string {
	return outcomeOf(func() string { return carryOut(l, order) })
}

func carryOut(l psync.Locker, order string) string {
	switch order {
	case "lock":
		l.Lock()
	case "lock or learn":
		return describe(l.LockContext(context.Background()))
	case "try with an ended context":
		return describe(l.LockContext(ended()))
	case "try":
		if !l.TryLock() {
			return "no"
		}
	case "unlock":
		l.Unlock()
	case "rlock":
		l.(*psync.RWMutex).RLock()
	case "runlock":
		l.(*psync.RWMutex).RUnlock()
	case "mark":
		l.MarkConsistent()
	case "quit":
		os.Exit(0)
	default:
		return "unknown order " + order
	}
	return "ok"
}

func describe(err error) string {
	var died *psync.OwnerDiedError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &died):
		return "died " + strconv.Itoa(died.Pid)
	}
	return err.Error()
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// do has an actor carry out orders that succeed.
func do(t testing.TB, p *proctest.Proc, orders ...string) {
	t.Helper()
	for _, order := range orders {
		p.Tell(t, order)
		p.Expect(t, "ok")
	}
}

// ask has an actor carry out one order with the outcome want.
func ask(t testing.TB, p *proctest.Proc, order, want string) {
	t.Helper()
	p.Tell(t, order)
	p.Expect(t, want)
}

const waiting = 1 << 31 // W: somebody may sleep on the word

// awaitSleeper returns when somebody has announced that he sleeps on the word.
func awaitSleeper(word func() uint32) {
	for word()&waiting == 0 {
		runtime.Gosched()
	}
}

// adder adds to N under the lock, as often as it is told.
var adder = proctest.Register("adder", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	l := s.lock(h.Args[0])
	n, err := strconv.Atoi(h.Args[1])
	if err != nil {
		return err
	}
	h.Ready()
	for range n {
		l.Lock()
		s.N++
		l.Unlock()
	}
	return nil
})
