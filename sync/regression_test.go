package sync_test

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Each test here is a bug that another implementation of robust locks has had.

// glibc BZ 20973: who took a lock from a dead owner did not keep the bit that
// says that others sleep, so its unlock woke nobody. The sleeper by hand sleeps
// until it is woken. The true one stands meanwhile, so that it cannot set the
// bit itself.
func TestRecovererKeepsSleepers(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, victim *proctest.Proc) {
		low, _ := halves(s.lock(lock))
		do(t, victim, "lock")
		waiter := actor.Start(t, []*os.File{file}, lock)
		waiter.Tell(t, "lock or learn")
		awaitSleeper(s.word(lock))
		waiter.Stop(t)
		woken := sleepByHand(low)
		victim.Kill(t)

		recoverer := actor.Start(t, []*os.File{file}, lock)
		ask(t, recoverer, "lock or learn", "died "+strconv.Itoa(victim.Pid()))
		require.NotZero(t, low.Load()&waiting, "two still wait")
		do(t, recoverer, "mark", "unlock")
		await(t, "the sleeper", woken)
		waiter.Cont(t)
		waiter.Expect(t, "ok")
		do(t, waiter, "unlock")
	})
}

// forgetful locks, unmaps the lock, and fills whatever comes to lie there with
// what the kernel would take for a lock of one of its threads.
var forgetful = proctest.Register("forgetful", func(h *proctest.Helper) error {
	runtime.LockOSThread()
	seg, err := shm.Attach(h.Files[0])
	if err != nil {
		return err
	}
	s, err := shm.Place[scene](seg, 0)
	if err != nil {
		return err
	}
	l := s.lock(h.Args[0])
	l.Lock()
	tid := uint32(unix.Gettid())
	if h.Args[1] == "keeper" {
		tid = roster.Look(roster.Me()).Seen & ownerMask
	}
	if err := seg.Close(); err != nil {
		return err
	}
	page, err := mapOver(l, h.Files[1])
	if err != nil {
		return err
	}
	for i := 0; i < len(page); i += 4 {
		binary.NativeEndian.PutUint32(page[i:], tid)
	}
	h.Say("filled")
	select {}
})

// glibc BZ 14485: the kernel marks the locks on a dying thread's list, and the
// list still named a lock whose memory had been unmapped. If something else was
// mapped there, it was written into. Here no lock is ever on a list.
func TestDeathAfterUnmap(t *testing.T) {
	for _, thread := range []string{"keeper", "locker"} {
		for _, lock := range lockNames {
			t.Run(thread+"/"+lock, func(t *testing.T) {
				proctest.NoLeaks(t)
				s, file := stage[scene](t)
				fd, err := unix.MemfdCreate("innocent", unix.MFD_CLOEXEC)
				require.NoError(t, err)
				innocent := os.NewFile(uintptr(fd), "innocent")
				defer innocent.Close()
				require.NoError(t, innocent.Truncate(int64(unix.Getpagesize())))
				content := func() []byte {
					data, err := io.ReadAll(io.NewSectionReader(innocent, 0, int64(unix.Getpagesize())))
					require.NoError(t, err)
					return data
				}

				victim := forgetful.Start(t, []*os.File{file, innocent}, lock, thread)
				victim.Expect(t, "filled")
				before := content()
				require.NotEqual(t, make([]byte, len(before)), before, "filled, with a number whose last byte may be 0")
				victim.Kill(t)
				require.Equal(t, before, content(), "a death writes into nobody's memory")
				var died *psync.OwnerDiedError
				require.ErrorAs(t, s.lock(lock).LockContext(t.Context()), &died)
				require.Equal(t, victim.Pid(), died.Pid, "and the lock is known to have been held")
			})
		}
	}
}

// pender dies with another's liveness word in the pending entry of its robust
// list: a claimer that has just lost the slot (step 22).
var pender = proctest.Register("pender", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	if _, err := roster.Join(); err != nil {
		return err
	}
	owner := roster.Look(roster.ID(wholeWord(s.lock(h.Args[0])).Load() & ownerMask))
	runtime.LockOSThread()
	if err := pendOn(owner.Word); err != nil {
		return err
	}
	h.Say("pending")
	select {}
})

// The race for the pending slot, in musl and glibc: a thread names a word there
// before the word is its own, and until after it has let go. If it dies
// meanwhile, the word of the one who has it by then was marked. The kernel marks
// only what holds the dead thread's id, and so a liveness word holds nothing but
// that.
func TestPendingSlotOfLoser(t *testing.T) {
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, holder *proctest.Proc) {
		do(t, holder, "lock")
		owner := roster.ID(wholeWord(s.lock(lock)).Load() & ownerMask)
		loser := pender.Start(t, []*os.File{file}, lock)
		loser.Expect(t, "pending")
		before := roster.Look(owner)
		loser.Kill(t)
		require.Equal(t, before, roster.Look(owner))
		other := actor.Start(t, []*os.File{file}, lock)
		ask(t, other, "try with an ended context", "context canceled")
		do(t, holder, "unlock")
		ask(t, other, "lock or learn", "ok")
	})
}

// inOwnRoster runs the calling test once more, in a process whose roster nobody
// else uses, and reports true there. The places of a roster are handed out in
// turn; a test that changes the turn would meddle with whoever runs beside it.
func inOwnRoster(t *testing.T) bool {
	t.Helper()
	const own = "/dev/shm/multiproc-test-"
	if strings.HasPrefix(os.Getenv(roster.Variable), own) {
		return true
	}
	dir, err := os.MkdirTemp(filepath.Split(own))
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(dir)) }()
	again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^"+t.Name()+"$")
	again.Env = append(os.Environ(), roster.Variable+"="+filepath.Join(dir, "roster"))
	again.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	output, err := again.CombinedOutput()
	require.NoError(t, err, string(output))
	return false
}

// Where in the roster's file the fields lie; see docs/layout.md.
const (
	slotBytes   = 64
	slotMask    = 1<<14 - 1 // of an id: index + 1
	cursorField = 32
	pidField    = 8
	startField  = 16
	stackField  = 24
)

// write32 writes a field of the roster.
func write32(t *testing.T, offset int64, v uint32) {
	t.Helper()
	_, err := roster.File().WriteAt(binary.NativeEndian.AppendUint32(nil, v), offset)
	require.NoError(t, err)
}

// Reuse of a slot: the owner dies, and another process gets its place among the
// processes. A lock that knows its owner by the place alone now belongs to the
// newcomer, who does not know, and nobody ever has it again.
func TestSlotReuse(t *testing.T) {
	if !inOwnRoster(t) {
		return
	}
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, victim *proctest.Proc) {
		l := s.lock(lock)
		do(t, victim, "lock")
		id := roster.ID(wholeWord(l).Load() & ownerMask)
		victim.Kill(t)
		write32(t, cursorField, uint32(id&slotMask-1)) // the next slot to be looked at
		newcomer := actor.Start(t, []*os.File{file}, lock)
		newcomer.Tell(t, "unlock")
		require.Regexp(t, "^panic", newcomer.Line(t), "it holds nothing")
		ask(t, newcomer, "try", "no")
		require.Equal(t, roster.Sight{}, roster.Look(id), "nobody is known by the old name any more")
		newcomer.Tell(t, "unlock")
		require.Regexp(t, "^panic", newcomer.Line(t), "the newcomer is another owner")
		newcomer.Tell(t, "try with an ended context")
		newcomer.Expect(t, "died 0")
		do(t, newcomer, "mark", "unlock")
		require.NoError(t, l.LockContext(t.Context()))
		l.Unlock()
	})
}

// Reuse of a pid: the owner dies, and a process that has nothing to do with locks
// gets its number. Who asks whether the number is alive, or waits until it is
// not, waits for a stranger. Numbers cannot be chosen without privilege, so the
// roster is changed instead.
func TestPidReuse(t *testing.T) {
	if !inOwnRoster(t) {
		return
	}
	forLocks(t, func(t *testing.T, s *scene, file *os.File, lock string, victim *proctest.Proc) {
		do(t, victim, "lock")
		id := roster.ID(wholeWord(s.lock(lock)).Load() & ownerMask)
		victim.Kill(t)
		stranger := actor.Start(t, []*os.File{file}, lock)
		ask(t, stranger, "nothing", "unknown order nothing") // it is up
		slot := slotBytes * int64(id&slotMask)
		write32(t, slot+pidField, uint32(stranger.Pid()))
		write32(t, slot+startField, 1) // long before the stranger
		write32(t, slot+stackField, 0) // it is not known by its stack
		write32(t, slot+stackField+4, 0)
		require.Equal(t, stranger.Pid(), roster.Look(id).Pid)
		told := make(chan error)
		go func() { told <- s.lock(lock).LockContext(t.Context()) }()
		require.ErrorIs(t, await(t, "the lock", told), psync.ErrOwnerDied)
	})
}

// mute holds the lock, and dies of its first attempt to wake anybody.
var mute = proctest.Register("mute", func(h *proctest.Helper) error {
	s, err := enter[scene](h)
	if err != nil {
		return err
	}
	l := s.lock(h.Args[0])
	l.Lock()
	if err := dieOfWake(); err != nil {
		return err
	}
	h.Say("locked")
	if _, err := h.Listen(); err != nil {
		return err
	}
	l.Unlock()
	return errors.New("it has woken nobody")
})

// Wake before store: an unlock that wakes first and frees the lock afterwards.
// Who is woken finds the lock held, sleeps again, and is not woken again. By the
// time of the wake the lock must have been let go, so a death of it is nobody's
// death.
func TestWakeComesAfterStore(t *testing.T) {
	for _, lock := range lockNames {
		t.Run(lock, func(t *testing.T) {
			proctest.NoLeaks(t)
			s, file := stage[scene](t)
			holder := mute.Start(t, []*os.File{file}, lock)
			holder.Expect(t, "locked")
			waiter := actor.Start(t, []*os.File{file}, lock)
			waiter.Tell(t, "lock or learn")
			awaitSleeper(s.word(lock))
			holder.Tell(t, "unlock")
			require.ErrorContains(t, holder.Wait(t), "bad system call")
			waiter.Expect(t, "ok")
			do(t, waiter, "unlock")
		})
	}
}
