package sync_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// An rwScene is the shared memory of a test: the lock, and two numbers that a
// writer keeps equal.
type rwScene struct {
	RW   psync.RWMutex
	A, B int64
}

// write changes both numbers, with a moment in between.
func (s *rwScene) write() {
	s.A++
	runtime.Gosched()
	s.B++
}

// equal is what a reader must find.
func (s *rwScene) equal() bool {
	a := s.A
	runtime.Gosched()
	return a == s.B
}

// rwPlayer does with the lock what it is told.
var rwPlayer = proctest.Register("rwmutex player", play(actRW))

func actRW(ctx context.Context, s *rwScene, order string) string {
	switch order {
	case "lock":
		return describe(s.RW.LockContext(ctx))
	case "rlock":
		return describe(s.RW.RLockContext(ctx))
	case "plain lock":
		s.RW.Lock()
	case "plain rlock":
		s.RW.RLock()
	case "try":
		return strconv.FormatBool(s.RW.TryLock())
	case "rtry":
		return strconv.FormatBool(s.RW.TryRLock())
	case "unlock":
		s.RW.Unlock()
	case "runlock":
		s.RW.RUnlock()
	case "mark":
		s.RW.MarkConsistent()
	default:
		return "unknown order " + order
	}
	return "ok"
}

// rwStage makes a scene with players who have all joined.
func rwStage(t *testing.T, players int) (s *rwScene, files []*os.File, procs []*proctest.Proc) {
	t.Helper()
	proctest.NoLeaks(t)
	s, file := stage[rwScene](t)
	files = []*os.File{file}
	for range players {
		p := rwPlayer.Start(t, files)
		do(t, p, "rlock", "runlock")
		procs = append(procs, p)
	}
	return s, files, procs
}

// announced returns when a process has taken the word, to write or to queue.
func (s *rwScene) announced() {
	for rwWordsOf(&s.RW).word.Load() == 0 {
		runtime.Gosched()
	}
}

// queued returns when somebody sleeps on the word.
func (s *rwScene) queued() {
	for rwWordsOf(&s.RW).word.Load()&waiting == 0 {
		runtime.Gosched()
	}
}

// unlocked demands that nobody has the lock, or ever left anything behind.
func (s *rwScene) unlocked(t *testing.T) {
	t.Helper()
	require.True(t, s.RW.TryLock())
	s.RW.Unlock()
	require.True(t, s.RW.TryRLock())
	s.RW.RUnlock()
	w := rwWordsOf(&s.RW)
	require.Zero(t, w.word.Load())
	require.Zero(t, w.dirty.Load())
	require.Empty(t, w.counting())
}

// brief is a context that ends soon.
func brief(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestRWMutexReadersShare(t *testing.T) {
	s, _, p := rwStage(t, 2)
	do(t, p[0], "rlock")
	do(t, p[1], "plain rlock")
	s.RW.RLock()
	require.True(t, s.RW.TryRLock())
	require.False(t, s.RW.TryLock())
	ask(t, p[0], "try", "false")
	ask(t, p[0], "rtry", "true")
	require.ErrorIs(t, s.RW.LockContext(over()), context.Canceled)
	require.NoError(t, s.RW.RLockContext(over()))
	for range 3 {
		s.RW.RUnlock()
	}
	do(t, p[0], "runlock", "runlock")
	do(t, p[1], "runlock")
	s.unlocked(t)
}

// A writer has it alone.
func TestRWMutexWriterExcludes(t *testing.T) {
	s, _, p := rwStage(t, 1)
	pid, held := s.RW.Holder()
	require.False(t, held, "nobody")
	require.Zero(t, pid)
	do(t, p[0], "lock")
	pid, held = s.RW.Holder()
	require.True(t, held)
	require.Equal(t, p[0].Pid(), pid)
	require.False(t, s.RW.TryLock())
	require.False(t, s.RW.TryRLock())
	require.ErrorIs(t, s.RW.LockContext(over()), context.Canceled)
	require.ErrorIs(t, s.RW.RLockContext(over()), context.Canceled)
	require.ErrorIs(t, s.RW.LockContext(brief(t)), context.DeadlineExceeded)
	require.ErrorIs(t, s.RW.RLockContext(brief(t)), context.DeadlineExceeded)
	do(t, p[0], "unlock")
	s.unlocked(t)
}

// A writer that waits for readers holds up new ones, and lets them in again when
// it gives up.
func TestRWMutexWaitingWriter(t *testing.T) {
	s, _, p := rwStage(t, 2)
	reader, writer := p[0], p[1]
	do(t, reader, "rlock")
	writer.Tell(t, "lock")
	s.announced()
	require.False(t, s.RW.TryRLock())
	require.False(t, s.RW.TryLock())
	_, held := s.RW.Holder()
	require.False(t, held, "it does not have the lock yet")
	require.ErrorIs(t, s.RW.RLockContext(brief(t)), context.DeadlineExceeded)
	writer.Tell(t, "cancel")
	writer.Expect(t, "context canceled")
	require.True(t, s.RW.TryRLock())
	s.RW.RUnlock()

	writer.Tell(t, "lock")
	s.announced()
	do(t, reader, "runlock")
	writer.Expect(t, "ok")
	do(t, writer, "unlock")
	s.unlocked(t)
}

// Readers of different processes have lines of their own.
func TestRWMutexLines(t *testing.T) {
	s, _, p := rwStage(t, 9)
	for _, p := range p {
		do(t, p, "rlock")
	}
	s.RW.RLock()
	lines := &rwWordsOf(&s.RW).lines
	for line := range lines {
		n := 0
		for row := range lines[line] {
			if lines[line][row].Load() != 0 {
				n++
			}
		}
		require.LessOrEqual(t, n, 1, "line %d", line)
	}
	require.Len(t, rwWordsOf(&s.RW).counting(), 10)
	s.RW.RUnlock()
}

// A reader that leaves wakes the writer that sleeps on its cell, and so does one
// that backs off. (A true sleeper looks again after 100 ms.)
func TestRWMutexReaderWakes(t *testing.T) {
	s, _, _ := rwStage(t, 0)
	w := rwWordsOf(&s.RW)
	s.RW.RLock()
	s.RW.RLock()
	cells := w.counting()
	require.Len(t, cells, 1, "a process has one cell")
	w.word.Store(1<<29 | 1) // somebody
	s.RW.RUnlock()
	woken := sleepByHand(countHalf(cells[0]))
	s.RW.RUnlock()
	await(t, "the writer", woken)
	w.word.Store(0)
	s.unlocked(t)
}

func TestRWMutexRLocker(t *testing.T) {
	s, _, p := rwStage(t, 1)
	l := s.RW.RLocker()
	l.Lock()
	ask(t, p[0], "rtry", "true")
	ask(t, p[0], "try", "false")
	do(t, p[0], "runlock")
	l.Unlock()
	s.unlocked(t)
}

func benchmarkRW(b *testing.B, rw interface {
	sync.Locker
	RLock()
	RUnlock()
}) {
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			rw.RLock()
			rw.RUnlock()
		}
	})
	b.Run("read in parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				rw.RLock()
				rw.RUnlock()
			}
		})
	})
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			rw.Lock()
			rw.Unlock()
		}
	})
}

func BenchmarkRWMutex(b *testing.B) {
	s, _ := stage[rwScene](b)
	benchmarkRW(b, &s.RW)
}

func BenchmarkStdRWMutex(b *testing.B) { benchmarkRW(b, new(sync.RWMutex)) }
