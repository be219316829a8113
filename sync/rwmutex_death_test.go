package sync_test

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A reader that is killed counts no more, for a writer that waits for it already
// and for one that comes later.
func TestRWMutexReaderKilled(t *testing.T) {
	s, files, p := rwStage(t, 2)
	for _, waits := range []bool{true, false} {
		reader := rwPlayer.Start(t, files)
		do(t, reader, "rlock", "rlock")
		if waits {
			p[0].Tell(t, "lock")
			s.announced()
			awaitTrueSleeper(t, p[0].Pid())
			reader.Kill(t)
			p[0].Expect(t, "ok")
		} else {
			reader.Kill(t)
			require.Len(t, rwWordsOf(&s.RW).counting(), 1)
			do(t, p[0], "lock")
		}
		do(t, p[0], "unlock")
		s.unlocked(t)
	}
}

// Also one that is killed while another one's readers are waited for.
func TestRWMutexReadersKilled(t *testing.T) {
	s, _, p := rwStage(t, 3)
	do(t, p[1], "rlock")
	do(t, p[2], "rlock")
	p[0].Tell(t, "lock")
	s.announced()
	awaitTrueSleeper(t, p[0].Pid())
	p[1].Kill(t)
	p[2].Kill(t)
	p[0].Expect(t, "ok")
	do(t, p[0], "unlock")
	s.unlocked(t)
}

// The next writer is told of a writer that was killed, and repairs. A reader is
// told, and does not have the lock.
func TestRWMutexWriterKilled(t *testing.T) {
	s, _, p := rwStage(t, 1)
	do(t, p[0], "lock")
	p[0].Kill(t)
	require.False(t, s.RW.TryRLock())
	require.False(t, s.RW.TryLock())
	require.EqualError(t, s.RW.RLockContext(t.Context()), "psync: the process that held the lock died (pid "+strconv.Itoa(p[0].Pid())+")")
	require.ErrorIs(t, s.RW.RLockContext(over()), psync.ErrOwnerDied)
	require.Empty(t, rwWordsOf(&s.RW).counting(), "a reader who is told does not read")
	require.PanicsWithError(t, "psync: the process that held the lock died", s.RW.RLock)
	require.PanicsWithError(t, "psync: the process that held the lock died", s.RW.Lock)
	require.False(t, s.RW.TryRLock())
	require.False(t, s.RW.TryLock())

	require.ErrorIs(t, s.RW.LockContext(t.Context()), psync.ErrOwnerDied)
	pid, held := s.RW.Holder()
	require.True(t, held, "a writer who is told has the lock")
	require.Equal(t, os.Getpid(), pid)
	s.RW.Unlock()
	require.ErrorIs(t, s.RW.RLockContext(t.Context()), psync.ErrOwnerDied, "nobody has repaired yet")
	require.ErrorIs(t, s.RW.LockContext(over()), psync.ErrOwnerDied)
	s.RW.MarkConsistent()
	s.RW.Unlock()
	s.unlocked(t)
}

// Those who wait for a writer are told at once when it is killed.
func TestRWMutexWriterKilledWhileOthersWait(t *testing.T) {
	s, _, p := rwStage(t, 3)
	do(t, p[0], "lock")
	p[1].Tell(t, "rlock")
	s.queued()
	p[2].Tell(t, "rlock")
	awaitTrueSleeper(t, p[1].Pid())
	awaitTrueSleeper(t, p[2].Pid())
	p[0].Kill(t)
	require.Regexp(t, "died", p[1].Line(t))
	require.Regexp(t, "died", p[2].Line(t))
	require.ErrorIs(t, s.RW.LockContext(t.Context()), psync.ErrOwnerDied)
	s.RW.MarkConsistent()
	s.RW.Unlock()
	s.unlocked(t)
}

// A writer that is killed before it had the lock wrote nothing: nobody is told.
func TestRWMutexAnnouncerKilled(t *testing.T) {
	for _, next := range []string{"plain lock", "plain rlock", "try", "rtry"} {
		t.Run(next, func(t *testing.T) {
			s, _, p := rwStage(t, 2)
			s.RW.RLock()
			p[0].Tell(t, "lock")
			s.announced()
			awaitTrueSleeper(t, p[0].Pid())
			p[0].Kill(t)
			if next == "plain rlock" || next == "rtry" {
				p[1].Tell(t, next)
				require.Regexp(t, "ok|true", p[1].Line(t))
				do(t, p[1], "runlock")
				s.RW.RUnlock()
			} else {
				s.RW.RUnlock()
				p[1].Tell(t, next)
				require.Regexp(t, "ok|true", p[1].Line(t))
				do(t, p[1], "unlock")
			}
			s.unlocked(t)
		})
	}
}

// One that waits is killed: nobody else is held up.
func TestRWMutexWaiterKilled(t *testing.T) {
	for _, order := range []string{"lock", "rlock"} {
		t.Run(order, func(t *testing.T) {
			s, _, p := rwStage(t, 2)
			do(t, p[0], "lock")
			p[1].Tell(t, order)
			s.queued()
			p[1].Kill(t)
			do(t, p[0], "unlock")
			s.unlocked(t)
		})
	}
}

// A stopped process is alive: writers wait for its readers, everybody for it as
// a writer.
func TestRWMutexHolderStopped(t *testing.T) {
	s, _, p := rwStage(t, 1)
	do(t, p[0], "rlock")
	p[0].Stop(t)
	require.ErrorIs(t, s.RW.LockContext(brief(t)), context.DeadlineExceeded)
	require.True(t, s.RW.TryRLock(), "readers go on")
	s.RW.RUnlock()
	p[0].Cont(t)
	do(t, p[0], "runlock", "lock")
	p[0].Stop(t)
	require.ErrorIs(t, s.RW.LockContext(brief(t)), context.DeadlineExceeded)
	require.ErrorIs(t, s.RW.RLockContext(brief(t)), context.DeadlineExceeded)
	p[0].Cont(t)
	do(t, p[0], "unlock")
	s.unlocked(t)
}

// Unlocking what is not held panics, and changes nothing.
func TestRWMutexMisuse(t *testing.T) {
	s, _, p := rwStage(t, 1)
	me := strconv.Itoa(os.Getpid())
	not := func(op string) string {
		return "psync: " + op + " by process " + me + ", which has not locked the RWMutex for that"
	}
	idle := func() {
		require.PanicsWithValue(t, not("RUnlock"), s.RW.RUnlock)
		require.PanicsWithValue(t, not("Unlock"), s.RW.Unlock)
		require.PanicsWithValue(t, not("MarkConsistent"), s.RW.MarkConsistent)
	}
	idle()
	s.RW.RLock()
	require.PanicsWithValue(t, not("Unlock"), s.RW.Unlock)
	s.RW.RUnlock()
	idle() // once too often
	do(t, p[0], "rlock")
	idle() // another process's
	do(t, p[0], "runlock", "lock")
	require.PanicsWithValue(t, "psync: Unlock by process "+me+" of a lock held by process "+strconv.Itoa(p[0].Pid()), s.RW.Unlock)
	do(t, p[0], "unlock")
	s.RW.Lock()
	require.PanicsWithValue(t, not("RUnlock"), s.RW.RUnlock)
	s.RW.Unlock()
	s.unlocked(t)
}

// A process's cell was claimed by another while it was empty.
func TestRWMutexCellIsTaken(t *testing.T) {
	s, _, p := rwStage(t, 1)
	w := rwWordsOf(&s.RW)
	s.RW.RLock()
	cell := w.counting()[0]
	mine := cell.Load()
	s.RW.RUnlock()
	cell.Store(1<<32 | uint64(idOf(t, s, p[0].Pid())))
	s.RW.RLock()
	cells := w.counting()
	require.Len(t, cells, 2, "it has another cell")
	require.False(t, s.RW.TryLock())
	s.RW.RUnlock()
	require.PanicsWithValue(t, "psync: RUnlock by process "+strconv.Itoa(os.Getpid())+", which has not locked the RWMutex for that", s.RW.RUnlock)
	cell.Store(mine &^ (1<<63 - 1<<32))
	s.unlocked(t)
}

// idOf finds a process in the cells.
func idOf(t *testing.T, s *rwScene, pid int) roster.ID {
	lines := &rwWordsOf(&s.RW).lines
	for line := range lines {
		for row := range lines[line] {
			if id := roster.ID(lines[line][row].Load() & roster.Mask); id != 0 && roster.Look(id).Pid == pid {
				return id
			}
		}
	}
	t.Fatalf("process %d has no cell", pid)
	return 0
}

// fillCells has a process read in every cell.
func fillCells(w *rwWords, id roster.ID) {
	w.used[0].Store(1<<64 - 1)
	w.used[1].Store(1<<56 - 1)
	for line := range w.lines {
		for row := range w.lines[line] {
			w.lines[line][row].Store(1<<32 | uint64(id))
		}
	}
}

// When every cell counts readers of the living, a reader more waits for one.
func TestRWMutexOverflow(t *testing.T) {
	s, files, p := rwStage(t, 2)
	w := rwWordsOf(&s.RW)
	id := idOf(t, s, p[1].Pid())
	fillCells(w, id)
	require.False(t, s.RW.TryRLock())
	require.False(t, s.RW.TryLock())
	require.ErrorIs(t, s.RW.RLockContext(brief(t)), context.DeadlineExceeded)
	require.Zero(t, w.word.Load())

	p[0].Tell(t, "rlock")
	s.announced()
	awaitTrueSleeper(t, p[0].Pid())
	last := &w.lines[14][7]
	require.True(t, last.CompareAndSwap(1<<32|uint64(id), uint64(id)))
	require.Equal(t, 1, futex.Wake(countHalf(last), 1))
	p[0].Expect(t, "ok")
	do(t, p[0], "runlock")

	// What dead ones left is free.
	fillCells(w, id)
	p[0].Tell(t, "rlock")
	s.announced()
	awaitTrueSleeper(t, p[0].Pid())
	p[1].Kill(t)
	p[0].Expect(t, "ok")
	do(t, p[0], "runlock")
	fillCells(w, id)
	newcomer := rwPlayer.Start(t, files)
	do(t, newcomer, "lock", "unlock")
	s.unlocked(t)
}

// Whatever memory says, there is an answer.
func TestRWMutexBadMemory(t *testing.T) {
	s, _, p := rwStage(t, 1)
	w := rwWordsOf(&s.RW)
	w.used[0].Store(1<<64 - 1)
	w.used[1].Store(1<<64 - 1) // more cells than there are
	s.RW.Lock()
	s.RW.Unlock()

	w.lines[3][2].Store(7<<32 | 0x3fff_ffff) // readers of nobody
	w.lines[4][2].Store(7 << 32)
	w.dirty.Store(12)
	require.False(t, s.RW.TryLock())
	s.RW.Lock()
	s.RW.Unlock()
	s.unlocked(t)

	s.RW.RLock()
	cell := w.counting()[0]
	mine := cell.Load()
	cell.Store(mine | 0xffff_ffff<<32) // more readers than there can be
	const complaint = "psync: the RWMutex counts 4294967295 readers in process "
	require.EqualError(t, s.RW.RLockContext(t.Context()), complaint+strconv.Itoa(os.Getpid()))
	require.PanicsWithError(t, complaint+strconv.Itoa(os.Getpid()), s.RW.RLock)
	require.PanicsWithError(t, complaint+strconv.Itoa(os.Getpid()), func() { s.RW.TryRLock() })
	require.Zero(t, w.word.Load())
	cell.Store(mine)
	s.RW.RUnlock()

	w.word.Store(0x3fff_ffff) // held by nobody
	do(t, p[0], "rlock", "runlock")
	w.word.Store(0x3fff_ffff)
	w.dirty.Store(1)
	ask(t, p[0], "rlock", "died 0")
	ask(t, p[0], "lock", "died 0")
	do(t, p[0], "mark", "unlock")
	s.unlocked(t)
}

// A reader is killed, and a thread of it takes long to stop. Who waits for one of
// the 120 cells, with the word held, has the next that another leaves.
func TestRWMutexCellBeforeTheDeadStop(t *testing.T) {
	s, _, readers := rwStage(t, 2)
	dying, next := readers[0], readers[1]
	do(t, dying, "rlock")
	s.RW.RLock()
	w := rwWordsOf(&s.RW)
	cells := w.counting()
	require.Len(t, cells, 2)
	ours, its := cells[0].Load(), cells[1]
	if halfKill(t, dying); !roster.Look(roster.ID(ours & roster.Mask)).Alive {
		ours, its = cells[1].Load(), cells[0]
	}
	before := its.Load()
	for line := range w.lines {
		for row := range w.lines[line] {
			if cell := &w.lines[line][row]; cell.Load()>>32 == 0 {
				cell.Store(ours)
			}
		}
	}
	next.Tell(t, "rlock")
	awaitAtFence(t, next, dying)
	last := &w.lines[len(w.lines)-1][len(w.lines[0])-1]
	last.Store(0)
	futex.Wake(countHalf(last), futex.All)
	next.Expect(t, "ok")
	require.Equal(t, before, its.Load(), "the dead one may still read")
	dying.Kill(t)
}
