package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

type ballot struct {
	Votes *shm.Value[float64]
	Own   int
}

var vote = proc.Register("vote", func(_ context.Context, b ballot) (int, error) {
	b.Votes.Do(func(v *float64) { *v++ })
	return b.Own, nil
})

// Python: _TestProcess.test_many_processes
func TestTwoHundredAtOnce(t *testing.T) {
	proctest.NoLeaks(t)
	const n = 200
	votes := newValue(t, 0)
	votes.Lock() // none ends before all run
	var starts sync.WaitGroup
	calls := make([]*proc.Call[int], n)
	errs := make([]error, n)
	for i := range n {
		starts.Go(func() { calls[i], errs[i] = vote.Start(t.Context(), ballot{votes, i}, nil) })
	}
	starts.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, proc.Children(), n)
	votes.Unlock()
	for i, c := range calls {
		got, err := c.Result(t.Context())
		require.NoError(t, err)
		require.Equal(t, i, got)
	}
	require.EqualValues(t, n, votes.Get())
	require.Empty(t, proc.Children())
}

// Python: _TestProcess.test_many_processes
func TestManyKilledOrTerminated(t *testing.T) {
	proctest.NoLeaks(t)
	var calls []*proc.Call[proc.None]
	for range 20 {
		calls = append(calls, start(t, idle, struct{}{}, nil))
	}
	for i, c := range calls {
		if i%2 == 0 {
			c.Kill()
		} else {
			c.Terminate()
		}
	}
	for i, c := range calls {
		require.Equal(t, []int{-9, -15}[i%2], exitCode(t, c.Process))
	}
}

// descriptors counts those of this process. Which they are does not change
// while it looks.
func descriptors() (n int) {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) // cannot fail
	for fd := range int(min(limit.Cur, 4096)) {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

// frugal has few descriptors, and starts children until there are none left.
var frugal = proctest.Register("frugal", func(h *proctest.Helper) error {
	const limit = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	a, err := shm.NewArray[int32](1, nil)
	if err != nil {
		return err
	}
	spare, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	var calls []*proc.Call[proc.None]
	fill := func() error {
		for {
			before := descriptors()
			c, err := idle.Start(context.Background(), struct{}{}, nil)
			if err != nil {
				h.Say(fmt.Sprintf("full: children %d, descriptors taken by the failure %d, at least 8 free %v, EMFILE %v",
					len(proc.Children())-len(calls), descriptors()-before, before+8 <= limit, errors.Is(err, unix.EMFILE)))
				h.Say(err.Error())
				return nil
			}
			calls = append(calls, c)
			if len(calls) > 1 && descriptors() != before+2 { // the first one brings the roster and the poller
				return fmt.Errorf("a child takes %d descriptors", descriptors()-before)
			}
		}
	}
	if err := fill(); err != nil {
		return err
	}
	h.Say(itoa(len(calls)))

	// There is one for the argument, then. It is given back.
	if err := spare.Close(); err != nil {
		return err
	}
	before := descriptors()
	_, err = sum.Start(context.Background(), []*shm.Array[int32]{a}, nil)
	h.Say(fmt.Sprintf("with an argument: descriptors taken by the failure %d, EMFILE %v", descriptors()-before, errors.Is(err, unix.EMFILE)))
	if spare, err = os.Open(os.DevNull); err != nil {
		return err
	}
	defer func() { _ = spare.Close() }() // opened for reading

	// Of some that end, others take the place.
	const ended = 7
	for _, c := range calls[:ended] {
		c.Terminate()
		<-c.Done()
	}
	n := len(calls)
	calls = calls[ended:]
	if err := fill(); err != nil {
		return err
	}
	h.Say(itoa(len(calls) - n))
	return nil
})

func TestDescriptorLimit(t *testing.T) {
	proctest.NoLeaks(t)
	p := frugal.Start(t, nil)
	expect := func() {
		p.Expect(t, "full: children 0, descriptors taken by the failure 0, at least 8 free false, EMFILE true")
		line := p.Line(t)
		require.Contains(t, line, "proc: start idle: ")
		require.Contains(t, line, "too many open files")
		require.Contains(t, line, "a child takes 2 descriptors while it runs and at its start, for a moment, 4 more and one for each shared object in its argument; this process may have 64")
	}
	expect()
	n := 0
	scan(p.Line(t), "", &n)
	require.Greater(t, n, 20)
	p.Expect(t, "with an argument: descriptors taken by the failure 0, EMFILE true")
	expect()
	p.Expect(t, "0")
	require.NoError(t, p.Wait(t))
}

var countDescriptors = proc.Register("count descriptors", func(context.Context, struct{}) (int, error) { return descriptors(), nil })

// A child does not get more descriptors because its parent has more children.
//
// Python: _TestProcess.test_child_fd_inflation
func TestChildDescriptorsDoNotGrow(t *testing.T) {
	proctest.NoLeaks(t)
	first := result(t, countDescriptors, struct{}{})
	for range 10 {
		start(t, idle, struct{}{}, nil)
	}
	require.Equal(t, first, result(t, countDescriptors, struct{}{}))
}

// A child is not bound to the thread that started it.
func TestThreadOfStartEnds(t *testing.T) {
	proctest.NoLeaks(t)
	x := newExchange(t)
	tid := make(chan int)
	var c *proc.Call[proc.None]
	var err error
	var brief func()
	brief = func() {
		runtime.LockOSThread() // and never unlocks: the thread ends with this goroutine
		if unix.Gettid() == os.Getpid() {
			go brief() // elsewhere: the main thread never ends
			<-t.Context().Done()
			runtime.UnlockOSThread()
			return
		}
		c, err = answerLines.Start(t.Context(), x.addr, nil)
		tid <- unix.Gettid()
	}
	go brief()
	thread := fmt.Sprintf("/proc/self/task/%d", <-tid)
	require.NoError(t, err)
	p := x.answer(t)
	require.Eventually(t, func() bool {
		_, err := os.Stat(thread)
		return errors.Is(err, os.ErrNotExist)
	}, patience, time.Millisecond)
	p.say(t, "still there?")
	p.expect(t, "still there?")
	p.say(t, "end")
	require.NoError(t, c.Join(t.Context()))
}
