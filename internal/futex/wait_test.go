package futex

import (
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// sleeper sleeps on the first word while it is 0.
var sleeper = proctest.Register("sleeper", func(h *proctest.Helper) error {
	words, err := mapWords(h.Files[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	sayThread(h)
	for words[0].Load() == 0 {
		if err := Wait(&words[0], 0, 0); err != nil {
			return err
		}
	}
	h.Say("awake")
	return nil
})

// timed sleeps on a word that nobody changes, until a deadline has passed.
var timed = proctest.Register("timed", func(h *proctest.Helper) error {
	words, err := mapWords(h.Files[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	deadline := After(200 * time.Millisecond)
	sayThread(h)
	for now() < deadline {
		if err := Wait(&words[0], 0, deadline); err != nil {
			return err
		}
	}
	h.Say("passed")
	return nil
})

func TestWaitReturnsOnAnotherValue(t *testing.T) {
	var word atomic.Uint32
	word.Store(7)
	require.NoError(t, Wait(&word, 8, 0))
	require.NoError(t, WaitV([]Waiter{Watch(heapWord(7), 8)}, 0))
}

func TestWaitUntilDeadline(t *testing.T) {
	word := heapWord(0)
	for _, d := range []Deadline{After(-time.Millisecond), 1, After(0)} {
		require.NoError(t, Wait(word, 0, d))
		require.NoError(t, WaitV([]Waiter{Watch(word, 0)}, d))
	}
	for end := After(time.Millisecond); now() < end; {
		require.NoError(t, Wait(word, 0, end))
	}
	for end := After(time.Millisecond); now() < end; {
		require.NoError(t, WaitV([]Waiter{Watch(word, 0)}, end))
	}
}

func TestDeadline(t *testing.T) {
	before := now()
	d := After(time.Hour)
	require.GreaterOrEqual(t, d, before+Deadline(time.Hour))
	require.LessOrEqual(t, d, now()+Deadline(time.Hour))
}

// The kernel's clock goes on where that of package time stands still.
func TestWaitInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for end := After(time.Millisecond); now() < end; {
			require.NoError(t, Wait(heapWord(0), 0, end))
		}
		for end := After(time.Millisecond); now() < end; {
			require.NoError(t, WaitV([]Waiter{Watch(heapWord(0), 0)}, end))
		}
	})
}

func TestForbiddenWord(t *testing.T) {
	words, err := forbiddenWords()
	require.NoError(t, err)
	require.ErrorIs(t, Wait(&words[0], 0, never()), unix.EFAULT)
	require.ErrorIs(t, WaitV([]Waiter{Watch(&words[0], 0)}, never()), unix.EFAULT)
	require.Zero(t, Wake(&words[0], All))
}

func TestWakeAcrossProcesses(t *testing.T) {
	proctest.NoLeaks(t)
	file := memfd(t)
	words, err := mapWords(file)
	require.NoError(t, err)
	p := sleeper.Start(t, []*os.File{file})
	asleep(t, p.Line(t))
	words[0].Store(1)
	Wake(&words[0], 1)
	p.Expect(t, "awake")
	require.NoError(t, p.Wait(t))
}

// TestWakeCounts wakes one of two sleepers while the word stays as it is, so
// that both sleep again.
func TestWakeCounts(t *testing.T) {
	file := memfd(t)
	words, err := mapWords(file)
	require.NoError(t, err)
	require.Zero(t, Wake(&words[0], All))
	a, b := sleeper.Start(t, []*os.File{file}), sleeper.Start(t, []*os.File{file})
	asleep(t, a.Line(t))
	asleep(t, b.Line(t))
	for range 10 {
		woken := 0
		for woken == 0 { // a woken sleeper may be on its way back to sleep
			woken = Wake(&words[0], 1)
		}
		require.Equal(t, 1, woken)
	}
	for woken := 0; woken < 2; {
		woken = Wake(&words[0], All)
		require.LessOrEqual(t, woken, 2)
	}
	words[0].Store(1)
	Wake(&words[0], All)
	a.Expect(t, "awake")
	b.Expect(t, "awake")
}

// TestSignals interrupts a sleeper thousands of times with the signal that the
// Go runtime uses itself. It must neither return an error nor miss its wake.
func TestSignals(t *testing.T) {
	file := memfd(t)
	words, err := mapWords(file)
	require.NoError(t, err)
	p := sleeper.Start(t, []*os.File{file})
	tid := p.Line(t)
	interrupt := interrupter(t, p.Pid(), tid)
	for range 2000 {
		interrupt()
	}
	asleep(t, tid)
	words[0].Store(1)
	Wake(&words[0], 1)
	for range 100 {
		interrupt()
	}
	p.Expect(t, "awake")
	require.NoError(t, p.Wait(t))
}

// TestSignalsAndDeadline interrupts a sleeper until it ends. A deadline that
// began anew after each signal would never come.
func TestSignalsAndDeadline(t *testing.T) {
	p := timed.Start(t, []*os.File{memfd(t)})
	interrupt := interrupter(t, p.Pid(), p.Line(t))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				interrupt()
			}
		}
	}()
	p.Expect(t, "passed")
	close(stop)
	<-stopped
	require.NoError(t, p.Wait(t))
}

// interrupter returns a function that signals one thread, if it still exists.
func interrupter(t *testing.T, pid int, thread string) func() {
	t.Helper()
	tid, err := strconv.Atoi(thread)
	require.NoError(t, err)
	return func() { _ = unix.Tgkill(pid, tid, unix.SIGURG) } // it may have ended
}

// TestHeapWord wakes a sleeper of this process while the collector runs: a word
// on the heap does not move.
func TestHeapWord(t *testing.T) {
	word := heapWord(0)
	woken := make(chan error)
	threads := make(chan int, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		threads <- unix.Gettid()
		var err error
		for word.Load() == 0 && err == nil {
			err = Wait(word, 0, 0)
		}
		woken <- err
	}()
	asleep(t, strconv.Itoa(<-threads))
	runtime.GC()
	word.Store(1)
	Wake(word, 1)
	require.NoError(t, <-woken)
}
