package futex

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// watcher sleeps on all of the first n words, and tells of each word that
// changes. Its arguments are n and, for a kernel that refuses futex_waitv, the
// number of the error with which it does.
var watcher = proctest.Register("watcher", func(h *proctest.Helper) error {
	words, err := mapWords(h.Files[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	if len(h.Args) > 1 {
		errno, err := strconv.Atoi(h.Args[1])
		if err != nil {
			return err
		}
		if err := proctest.Refuse(unix.SYS_FUTEX_WAITV, unix.Errno(errno)); err != nil {
			return err
		}
	}
	h.Say(strconv.FormatBool(WaitVSupported()))
	runtime.LockOSThread()
	sayThread(h)
	seen := make([]uint32, n)
	for changes := 0; changes < n; {
		waiters := make([]Waiter, n)
		for i := range waiters {
			waiters[i] = Watch(&words[i], seen[i])
		}
		if err := WaitV(waiters, 0); err != nil {
			return err
		}
		for i := range seen {
			if w := words[i].Load(); w != seen[i] {
				seen[i] = w
				changes++
				h.Say(strconv.Itoa(i))
			}
		}
	}
	return nil
})

// wakeEach changes one word after the other and sees the watcher tell of it.
func wakeEach(t *testing.T, n int, supported bool, args ...string) {
	t.Helper()
	file := memfd(t)
	words, err := mapWords(file)
	require.NoError(t, err)
	p := watcher.Start(t, []*os.File{file}, append([]string{strconv.Itoa(n)}, args...)...)
	p.Expect(t, strconv.FormatBool(supported))
	tid := p.Line(t)
	for i := range n {
		asleep(t, tid)
		words[i].Add(1)
		Wake(&words[i], 1)
		p.Expect(t, strconv.Itoa(i))
	}
	require.NoError(t, p.Wait(t))
}

func TestWaitVWakesOnEachWord(t *testing.T) {
	require.True(t, WaitVSupported(), "the kernel is older than 5.16 or the sandbox forbids futex_waitv")
	wakeEach(t, 3, true)
}

func TestWaitVMaximum(t *testing.T) {
	wakeEach(t, MaxWaiters, true)
	waiters := make([]Waiter, MaxWaiters+1)
	for i := range waiters {
		waiters[i] = Watch(heapWord(0), 0)
	}
	require.ErrorIs(t, WaitV(waiters, never()), unix.EINVAL)
}

// TestWaitVRefused has the kernel refuse futex_waitv as old kernels (ENOSYS) and
// sandboxes (EPERM, EACCES, or whatever their profile says) do. The first word
// still wakes; the others are found out by looking.
func TestWaitVRefused(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM, unix.EACCES} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			wakeEach(t, 3, false, strconv.Itoa(int(errno)))
		})
	}
}

// A kernel that is short of memory may have some the next time.
func TestWaitVShortOfMemory(t *testing.T) {
	wakeEach(t, 3, true, strconv.Itoa(int(unix.ENOMEM)))
}

// TestFallback has no kernel that refuses, so that a wait which goes to the
// kernel's futex_waitv after all sleeps for ever.
func TestFallback(t *testing.T) {
	noWaitV.Store(true)
	defer noWaitV.Store(false)
	a, b := heapWord(0), heapWord(0)
	both := []Waiter{Watch(a, 0), Watch(b, 0)}
	require.NoError(t, WaitV(both, 0), "returns to look at the words again")
	require.NoError(t, WaitV(both, never()))
	require.NoError(t, WaitV(both, 1))
	a.Store(1)
	require.NoError(t, WaitV(both, 0))
	require.False(t, WaitVSupported(), "a refusal is remembered")
}

// TestFallbackWakesOnFirstWord counts: a sleeper that only polled would never be
// there to be woken.
func TestFallbackWakesOnFirstWord(t *testing.T) {
	noWaitV.Store(true)
	defer noWaitV.Store(false)
	word := heapWord(0)
	ended := make(chan error)
	go func() {
		var err error
		for word.Load() == 0 && err == nil {
			err = WaitV([]Waiter{Watch(word, 0)}, 0)
		}
		ended <- err
	}()
	for Wake(word, 1) == 0 {
		runtime.Gosched()
	}
	word.Store(1)
	Wake(word, 1)
	require.NoError(t, <-ended)
}
