package await

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
)

// groupSize is how many words one thread watches for Any: the kernel's maximum
// less the word that ends the sleep.
const groupSize = futex.MaxWaiters - 1

// Any waits until at least one of the sources is ready, and returns the indexes
// of all that are. If none is and ctx has ended, it returns the context's error;
// so one that has ended before makes Any look once.
//
// It sleeps in the kernel, in one thread for each 127 words and in one for all
// descriptors, and leaves none behind. Without words and descriptors, as for
// sources that only use Notify, it needs none.
func Any(ctx context.Context, sources []Source) (ready []int, err error) {
	w := &waiter{wake: make(chan struct{}, 1), event: -1}
	w.add()
	defer w.remove()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, w.end)()
	}
	for poll := futex.PollInterval; ; poll = min(2*poll, 100*time.Millisecond) {
		// Whatever happens from here on ends the next sleep. Whoever ends the
		// sleep by ctx does so after the context's error can be seen below.
		w.reset()
		var list List
		for i, s := range sources {
			if s.Await(&list) {
				ready = append(ready, i)
			}
		}
		if len(ready) > 0 {
			return ready, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := w.sleep(&list, poll); err != nil {
			return nil, err
		}
	}
}

// Notify makes every Any of this process look at its sources again. A source
// that becomes ready by something that this process does itself, as by closing
// it, needs no word to be watched for that: it calls Notify after the change.
func Notify() {
	waiters.Lock()
	defer waiters.Unlock()
	for w := range waiters.all {
		w.endLocked()
	}
}

// waiters are the calls of Any that are going on.
var waiters = struct {
	sync.Mutex
	all map[*waiter]struct{}
}{all: make(map[*waiter]struct{})}

// A waiter is one call of Any. Three things end its sleeps, one for each way to
// sleep.
type waiter struct {
	ended atomic.Uint32 // on the heap, see Sleeper.cancelled
	event int           // an eventfd, under the lock of waiters; -1 until it is needed
	wake  chan struct{}
}

func (w *waiter) add() {
	waiters.Lock()
	defer waiters.Unlock()
	waiters.all[w] = struct{}{}
}

func (w *waiter) remove() {
	waiters.Lock()
	defer waiters.Unlock()
	delete(waiters.all, w)
	if w.event >= 0 {
		_ = unix.Close(w.event) // it holds nothing
	}
}

// end ends the sleep that is going on, or the next one.
func (w *waiter) end() {
	waiters.Lock()
	defer waiters.Unlock()
	if _, active := waiters.all[w]; active {
		w.endLocked()
	}
}

func (w *waiter) endLocked() {
	if w.ended.Swap(1) != 0 {
		return
	}
	futex.Wake(&w.ended, futex.All)
	if w.event >= 0 {
		_, _ = unix.Write(w.event, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail: the counter is 0
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// reset makes what ended the sleep before forgotten. What is left in wake costs
// a look, at most.
func (w *waiter) reset() {
	waiters.Lock()
	defer waiters.Unlock()
	if w.ended.Swap(0) == 0 {
		return
	}
	if w.event >= 0 {
		_, _ = unix.Read(w.event, make([]byte, 8)) // back to 0
	}
}

// openEvent makes the eventfd, once. If the sleep has been ended by then, its
// counter says so.
func (w *waiter) openEvent() error {
	waiters.Lock()
	defer waiters.Unlock()
	if w.event >= 0 {
		return nil
	}
	event, err := unix.Eventfd(uint(w.ended.Load()), unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	w.event = event
	return nil
}

// sleep returns when something on the list has changed, when the waiter was
// ended, after the list's bound, or for no reason. The poll is how long it
// sleeps when too many threads do already.
func (w *waiter) sleep(l *List, poll time.Duration) error {
	for _, life := range l.lives {
		l.Watch(life.Word, life.Seen)
		if life.Unwatched {
			l.Bound(futex.PollInterval)
		}
	}
	if len(l.descriptors) > 0 {
		if err := w.openEvent(); err != nil {
			return err
		}
	}
	err := w.sleepInGroups(l, poll)
	for _, life := range l.lives {
		life.PassOn()
	}
	return err
}

// sleepInGroups runs each group of words, and the descriptors, in a goroutine of
// its own, the last one in this. The first to return ends the others.
func (w *waiter) sleepInGroups(l *List, poll time.Duration) error {
	var deadline futex.Deadline
	if l.bound > 0 {
		deadline = futex.After(l.bound)
	}
	var groups []func() error
	for words := l.words; len(words) > 0; {
		n := min(len(words), groupSize)
		group := words[:n]
		groups = append(groups, func() error { return w.sleepOnWords(group, deadline) })
		words = words[n:]
	}
	if len(l.descriptors) > 0 {
		groups = append(groups, func() error { return w.sleepOnDescriptors(l.descriptors, l.bound) })
	}
	n := int32(len(groups))
	defer threads.Add(-n)
	if threads.Add(n) > maxThreads || n == 0 {
		w.sleepWithoutThread(l.bound, n, poll)
		return nil
	}
	failures := make([]error, n)
	var others sync.WaitGroup
	for i, group := range groups[1:] {
		others.Go(func() {
			failures[i+1] = group()
			w.end()
		})
	}
	failures[0] = groups[0]()
	if n > 1 {
		w.end()
	}
	others.Wait()
	return errors.Join(failures...)
}

func (w *waiter) sleepOnWords(words []word, deadline futex.Deadline) error {
	waits := make([]futex.Waiter, 0, futex.MaxWaiters)
	waits = append(waits, futex.Watch(&w.ended, 0)) // the first: it is slept on where the kernel refuses futex_waitv
	for _, word := range words {
		waits = append(waits, futex.Watch(word.at, word.val))
	}
	err := futex.WaitV(waits, deadline)
	if err != nil && w.ended.Load() == 0 {
		panic(errSleep(err))
	}
	return nil
}

// sleepOnDescriptors sleeps in poll(2). What it finds is not looked at: the
// sources look themselves, so a descriptor that was closed meanwhile, and means
// another file now, does no harm.
func (w *waiter) sleepOnDescriptors(descriptors []Descriptor, bound time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(w.event), Events: unix.POLLIN}}
	for _, d := range descriptors {
		fds = append(fds, unix.PollFd{Fd: int32(d.FD), Events: d.Events})
	}
	var limit *unix.Timespec
	if bound > 0 {
		ts := unix.NsecToTimespec(int64(bound))
		limit = &ts
	}
	if _, err := unix.Ppoll(fds, limit, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}

// sleepWithoutThread is for n groups that may have no thread, or for none.
func (w *waiter) sleepWithoutThread(bound time.Duration, n int32, poll time.Duration) {
	if n > 0 && (bound == 0 || poll < bound) {
		bound = poll
	}
	var after <-chan time.Time
	if bound > 0 {
		after = time.After(bound)
	}
	select {
	case <-w.wake:
	case <-after:
	}
}
