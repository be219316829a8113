package chunk

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edsrzf/mmap-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/memfd"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// duplicates are the files of a board, for Open.
func duplicates(t testing.TB, b *Board) (files [2]*os.File) {
	t.Helper()
	shared, args := b.Files()
	for i, f := range []*os.File{shared, args} {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		files[i] = os.NewFile(uintptr(fd), f.Name())
	}
	return files
}

// publish offers a chunk of numbers.
func publish(b *Board, slot int, tag uint32, flags uint32, numbers ...byte) {
	args := b.Arguments(slot)
	for _, n := range numbers {
		args = Append(args, Value, []byte{n})
	}
	b.Publish(slot, tag, Head{Func: 1, Job: 2, First: 3, Items: uint32(len(numbers)), Flags: flags})
	b.Announce()
	b.WakeOne()
}

// look wants a word that makes sense.
func look(t testing.TB, b *Board, slot int, tag uint32, items int) Word {
	t.Helper()
	w, err := b.Look(slot, tag, items, 0, 8)
	require.NoError(t, err)
	return w
}

func TestTwoViewsOfABoard(t *testing.T) {
	proctest.NoLeaks(t)
	parent := newBoard(t)
	files := duplicates(t, parent)
	child, err := Open(files[0], files[1])
	require.NoError(t, err)
	defer func() { require.NoError(t, child.Close()) }()

	w := child.Worker(5)
	_, ok := w.Claim()
	require.False(t, ok, "there is nothing")
	publish(parent, 7, 99, 0, 10, 20)
	require.Equal(t, NewWord(Ready, 0, 0, 2, 99), look(t, parent, 7, 99, 2))
	require.Equal(t, 1, parent.Backlog())
	c, ok := w.Claim()
	require.True(t, ok)
	require.Zero(t, parent.Backlog())
	slot, tag := c.ID()
	require.Equal(t, 7, slot)
	require.EqualValues(t, 99, tag)
	require.EqualValues(t, 3, c.First)
	require.Equal(t, NewWord(Running, 5, 0, 2, 99), look(t, parent, 7, 99, 2))
	args := c.Args
	for i, want := range []byte{10, 20} {
		require.Equal(t, i, c.Item())
		for item := range 3 {
			require.Equal(t, item == i, w.Holds(7, 99, item))
		}
		require.False(t, w.Holds(7, 98, i))
		require.False(t, child.Worker(4).Holds(7, 99, i))
		var data []byte
		_, data, args, err = Next(args)
		require.NoError(t, err)
		require.Equal(t, []byte{want}, data)
		c.Write(Value, []byte{want + 1})
		more, condemned := c.Commit(false)
		require.Equal(t, i == 0, more)
		require.False(t, condemned)
	}
	require.Equal(t, NewWord(Done, 5, 2, 2, 99), look(t, parent, 7, 99, 2))
	require.False(t, w.Holds(7, 99, 2))
	var hinted []int
	parent.Finished(func(slot int) { hinted = append(hinted, slot) })
	require.Equal(t, []int{7}, hinted)
	parent.Finished(func(int) { require.Fail(t, "said twice") })
	results := parent.Results(7)
	for _, want := range []byte{11, 21} {
		var data []byte
		_, data, results, err = Next(results)
		require.NoError(t, err)
		require.Equal(t, []byte{want}, data)
	}
	require.GreaterOrEqual(t, parent.Took(7), time.Duration(0))
	parent.Release(7)
	_, err = parent.Look(7, 99, 2, 0, 8)
	require.ErrorIs(t, err, ErrCorrupt)
}

// Nobody but the parent can write the arguments, and nobody can change the size.
func TestArgumentsAreReadOnly(t *testing.T) {
	proctest.NoLeaks(t)
	b := newBoard(t)
	shared, args := b.Files()
	_, err := mmap.MapRegion(args, 4096, mmap.RDWR, 0, 0)
	require.ErrorIs(t, err, unix.EPERM)
	for _, f := range []*os.File{shared, args} {
		require.ErrorIs(t, f.Truncate(1), unix.EPERM)
		require.ErrorIs(t, f.Truncate(1<<40), unix.EPERM)
	}
	_, err = args.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, unix.EPERM)
}

func TestOpenRefusesOtherSizes(t *testing.T) {
	proctest.NoLeaks(t)
	b := newBoard(t)
	small, err := memfd.New("small", 4096)
	require.NoError(t, err)
	files := duplicates(t, b)
	_, err = Open(small, files[1])
	require.ErrorContains(t, err, "open the memory of a pool: ")
	require.ErrorContains(t, err, "small has 4096 bytes, want ")
	files = duplicates(t, b)
	_, err = Open(files[1], files[0]) // exchanged
	require.Error(t, err)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	files = duplicates(t, b)
	require.NoError(t, files[1].Close())
	_, err = Open(files[0], null)
	require.Error(t, err)
}

// A worker can write anything into a word. Look believes only what can be.
func TestLookRefuses(t *testing.T) {
	b := newBoard(t)
	const slot, tag, items, taken, workers = 3, 1000, 10, 4, 2
	word := func(s State, worker, done, limit int) Word { return NewWord(s, worker, done, limit, tag) }
	for _, w := range []Word{
		word(Running, 1, 4, 10), word(Running, 0, 9, 10), word(Killed, 1, 5, 10),
		word(Done, 1, 10, 10), word(Stopped, 1, 4, 10), word(Stopped, 1, 10, 10),
	} {
		b.words.slots[slot].word.Store(uint64(w))
		got, err := b.Look(slot, tag, items, taken, workers)
		require.NoError(t, err)
		require.Equal(t, w, got)
	}
	for _, w := range []Word{
		0, word(Free, 0, 4, 10), ^Word(0), word(6, 0, 4, 10),
		word(Ready, 0, 0, 10),                       // items were delivered already
		word(Running, 0, 4, 5), word(Done, 1, 7, 7), // nobody has cut it
		word(Running, 2, 4, 10), word(Running, 1, 10, 10), word(Running, 1, 3, 10), word(Running, 1, 4, 11), word(Running, 1, 11, 10),
		word(Killed, 2, 4, 10), word(Killed, 1, 10, 10), word(Killed, 1, 3, 10),
		word(Done, 1, 9, 10), word(Done, 2, 10, 10), word(Done, 1, 11, 11), word(Done, 1, 3, 3),
		word(Stopped, 2, 5, 10), word(Stopped, 1, 3, 10), word(Stopped, 1, 11, 10),
		NewWord(Running, 1, 4, 10, tag+1), NewWord(Done, 1, 10, 10, 0),
	} {
		b.words.slots[slot].word.Store(uint64(w))
		_, err := b.Look(slot, tag, items, taken, workers)
		require.ErrorIs(t, err, ErrCorrupt, "%v", w)
		require.ErrorContains(t, err, "slot 3: chunk ")
	}
	publish(b, slot, tag, 0, 1, 2)
	require.Equal(t, Ready, look(t, b, slot, tag, 2).State())
	b.words.slots[slot].word.Store(uint64(NewWord(Ready, 1023, 0, 2, tag)))
	_, err := b.Look(slot, tag, 2, 0, workers)
	require.ErrorIs(t, err, ErrCorrupt, "nobody has a chunk that is ready")
}

// A worker can write anything into the ring's ends.
func TestCheck(t *testing.T) {
	b := newBoard(t)
	publish(b, 3, 1000, 0, 1, 2)
	require.NoError(t, b.Check())
	head, tail := &b.words.head, &b.words.tail
	head.Store(1)
	require.NoError(t, b.Check())
	head.Store(2)
	require.ErrorIs(t, b.Check(), ErrCorrupt)
	head.Store(0)
	tail.Store(2)
	require.ErrorIs(t, b.Check(), ErrCorrupt)
	for range ringSize + 1 {
		b.pending++
	}
	tail.Store(b.pending)
	require.ErrorIs(t, b.Check(), ErrCorrupt)
}

// The entry of a chunk that was withdrawn stays in the ring until somebody
// passes it.
func TestRingFullOfWithdrawn(t *testing.T) {
	b := newBoard(t)
	for i := range ringSize {
		require.True(t, b.CanPublish())
		publish(b, 0, uint32(i), 0, 1)
		w := look(t, b, 0, uint32(i), 1)
		require.True(t, b.Withdraw(0, w))
		require.False(t, b.Withdraw(0, w), "twice")
	}
	require.False(t, b.CanPublish())
	_, ok := b.Worker(0).Claim()
	require.False(t, ok)
	require.True(t, b.CanPublish())
	publish(b, 0, 5000, 0, 1)
	c, ok := b.Worker(0).Claim()
	require.True(t, ok)
	_, tag := c.ID()
	require.EqualValues(t, 5000, tag)
	require.False(t, b.Withdraw(0, look(t, b, 0, 5000, 1)), "it has been claimed")
}

func TestCut(t *testing.T) {
	b := newBoard(t)
	publish(b, 1, 8, 0, 1, 2, 3, 4)
	c, _ := b.Worker(2).Claim()
	before := look(t, b, 1, 8, 4)
	require.True(t, b.Cut(1, before, 2))
	require.False(t, b.Cut(1, before, 2), "it is another word now")
	for i := range 2 {
		c.Write(Value, nil)
		more, condemned := c.Commit(false)
		require.Equal(t, i == 0, more)
		require.False(t, condemned)
	}
	require.Equal(t, NewWord(Done, 2, 2, 2, 8), look(t, b, 1, 8, 2))
}

func TestCondemn(t *testing.T) {
	b := newBoard(t)
	publish(b, 1, 8, Timed, 1, 2)
	began := Now()
	c, _ := b.Worker(2).Claim()
	first := look(t, b, 1, 8, 2)
	require.GreaterOrEqual(t, b.Began(2), began)
	c.Write(Value, nil)
	claimed := b.Began(2)
	more, _ := c.Commit(false)
	require.True(t, more)
	require.GreaterOrEqual(t, b.Began(2), claimed, "of the second item")
	require.False(t, b.Condemn(1, first), "the worker has gone on")
	require.True(t, b.Condemn(1, look(t, b, 1, 8, 2)))
	require.Equal(t, NewWord(Killed, 2, 1, 2, 8), look(t, b, 1, 8, 2))
	c.Write(Value, nil)
	more, condemned := c.Commit(false)
	require.False(t, more)
	require.True(t, condemned)
	require.Equal(t, NewWord(Killed, 2, 1, 2, 8), look(t, b, 1, 8, 2), "the verdict stands")
}

// A worker that is to leave does so between two items, and takes no chunk.
func TestLeave(t *testing.T) {
	b := newBoard(t)
	w := b.Worker(2)
	publish(b, 1, 8, 0, 1, 2, 3)
	publish(b, 2, 9, 0, 1)
	c, _ := w.Claim()
	b.Dismiss(2)
	c.Write(Value, nil)
	more, condemned := c.Commit(false)
	require.False(t, more)
	require.False(t, condemned)
	require.Equal(t, NewWord(Stopped, 2, 1, 3, 8), look(t, b, 1, 8, 3))
	_, ok := w.Claim()
	require.False(t, ok)
	require.True(t, w.Rest(t.Context()))
	b.Forget(2)
	c, ok = w.Claim() // the next one of this index
	require.True(t, ok)
	c.Write(Value, nil)
	_, condemned = c.Commit(true)
	require.False(t, condemned)
	require.Equal(t, Done, look(t, b, 2, 9, 1).State(), "all of it is done all the same")
}

// asleep waits until n workers sleep.
func asleep(t testing.TB, b *Board, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return b.Asleep() == n }, time.Minute, time.Millisecond)
}

func TestRest(t *testing.T) {
	b := newBoard(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := make(chan bool)
	rest := func(index int) {
		go func() { left <- b.Worker(index).Rest(ctx) }()
	}
	rest(70) // in the second word of the bitmap
	asleep(t, b, 1)
	publish(b, 0, 1, 0, 1)
	require.False(t, <-left)
	require.Zero(t, b.Asleep())
	_, ok := b.Worker(70).Claim()
	require.True(t, ok)

	rest(3)
	rest(4)
	asleep(t, b, 2)
	b.Dismiss(3)
	require.True(t, <-left)
	require.Equal(t, 1, b.Asleep())
	b.WakeOne() // for nothing: it looks, and sleeps again
	asleep(t, b, 1)
	cancel()
	require.True(t, <-left)
	require.Zero(t, b.Asleep())
	require.True(t, b.Worker(4).Rest(ctx))
	b.WakeOne() // nobody
	require.Positive(t, b.Counters(4).Idle)
}

func TestPause(t *testing.T) {
	b := newBoard(t)
	var kicked atomic.Bool
	paused := make(chan struct{})
	pause := func(n int, bound time.Duration) {
		go func() {
			b.Pause(n, bound, &kicked)
			paused <- struct{}{}
		}()
	}
	sleeps := func() {
		require.Eventually(t, func() bool { return b.words.need.Load() != 0 }, time.Minute, time.Millisecond)
	}
	pause(Any, 0)
	sleeps()
	b.Kick(&kicked)
	<-paused
	pause(5, 0) // it was kicked, and nobody has taken note
	<-paused
	kicked.Store(false)
	pause(Any, time.Millisecond)
	<-paused

	finish := func(slot int) {
		c, ok := b.Worker(0).Claim()
		require.True(t, ok)
		c.Write(Value, nil)
		_, _ = c.Commit(false)
	}
	for i := range 4 {
		publish(b, i, uint32(i), 0, 1)
	}
	pause(2, 0)
	sleeps()
	finish(0) // three are left
	finish(1) // two
	require.NotZero(t, b.words.need.Load())
	finish(2)
	<-paused
	pause(2, 0) // there is something already
	<-paused
	b.Finished(func(int) {})
	pause(Any, 0)
	sleeps()
	finish(3)
	<-paused
}

// A commit that has to be tried again, because the parent has taken items back, counts
// its time once.
func TestTimeOfACommitTriedAgain(t *testing.T) {
	b := newBoard(t)
	w := b.Worker(2)
	publish(b, 0, 1, 0, 1, 2, 3)
	c, ok := w.Claim()
	require.True(t, ok)
	c.Write(Value, []byte{1})
	require.True(t, b.Cut(0, look(t, b, 0, 1, 3), 2))
	more, condemned := c.Commit(true)
	require.False(t, more)
	require.False(t, condemned)
	require.Equal(t, NewWord(Stopped, 2, 1, 2, 1), look(t, b, 0, 1, 2))
	require.Equal(t, b.Took(0), b.Counters(2).Busy)
}
