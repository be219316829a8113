//go:build stress && amd64

package sync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A situation is what an operation is stepped through in.
type situation struct {
	name   string
	before string // free, held or read by the victim (twice), held or read by another, dead owner or reader, held with the mark
	waiter string // "": nobody; sleeps; waits for a reader; is the heir; is the heir, stopped
	order  string // what the victim does
	letGo  string // when the other holder lets go: while the victim spins, or sleeps (as the heir)
	cancel string // when the context of the victim ends, see cancelled; only what comes then is stepped through
	only   string // some kinds of lock; what is left to the word alone is not done with all

	// Every instruction of a short path is one round. Of a long one, most of
	// which is the Go runtime and the spin loop, so many at the beginning and
	// at the end are, each instruction of our own packages where it is first
	// reached, and a sample.
	ends, sample int
}

var situations = []situation{
	{name: "lock", before: "free", order: "lock", ends: 300},
	{name: "unlock", before: "held by the victim", order: "unlock", ends: 300},
	{name: "lock once more", before: "held by the victim", order: "lock", only: "rmutex", ends: 300},
	{name: "unlock one of two", before: "held twice by the victim", order: "unlock", only: "rmutex", ends: 300},
	{name: "lock, sleeping", before: "held by another", order: "lock", letGo: "asleep", ends: 200, sample: 30},
	{name: "lock, as the heir", before: "held by another", order: "lock", letGo: "asleep as the heir", only: "mutex rmutex", ends: 60},
	{name: "lock, spinning", before: "held by another", order: "lock", letGo: "spinning", only: "mutex rmutex", ends: 300},
	{name: "lock, never let go", before: "held by another", order: "try", only: "mutex rmutex", ends: 30, sample: 20},
	{name: "unlock, a waiter sleeps", before: "held by the victim", waiter: "sleeps", order: "unlock", ends: 300},
	{name: "unlock, an heir sleeps", before: "held by the victim", waiter: "is the heir", order: "unlock", only: "mutex rmutex", ends: 300},
	{name: "unlock, not repaired", before: "held with the mark", order: "unlock", ends: 300},
	{name: "lock, dead owner", before: "dead owner", order: "lock or learn", ends: 50, sample: 30},
	{name: "mark", before: "held with the mark", order: "mark", ends: 300},
	{name: "give up, asleep", before: "held by another", order: "give up", cancel: "asleep", ends: 60},
	{name: "give up, woken", before: "held by another", order: "give up", cancel: "woken", ends: 60, only: "mutex"},
	{name: "give up, as the heir", before: "held by another", order: "give up", cancel: "asleep as the heir", only: "mutex rmutex", ends: 60},
	{name: "read", before: "free", order: "rlock", only: "rwmutex", ends: 300},
	{name: "read, sleeping", before: "held by another", order: "rlock", letGo: "asleep", only: "rwmutex", ends: 60, sample: 20},
	{name: "read, dead owner", before: "dead owner", order: "rlock or learn", only: "rwmutex", ends: 50, sample: 20},
	{name: "read no more", before: "read by the victim", order: "runlock", only: "rwmutex", ends: 300},
	{name: "read no more, a writer waits", before: "read by the victim", waiter: "waits for a reader", order: "runlock", only: "rwmutex", ends: 300},
	{name: "lock, a reader is in", before: "read by another", order: "lock", letGo: "asleep", only: "rwmutex", ends: 60, sample: 20},
	{name: "lock, dead reader", before: "dead reader", order: "lock", only: "rwmutex", ends: 50, sample: 20},
	{name: "give up, another is the heir", before: "held by another", waiter: "is the heir, stopped", order: "give up", cancel: "free", ends: 60, only: "mutex"},
}

// A process is killed at each machine instruction of Lock and Unlock, and of RLock
// and RUnlock, in an ordinary build. Two that were there and one newcomer go on, and one of them
// is told of the death exactly if the victim held the lock, or if somebody had
// died before it.
func TestStressKillAtEachInstruction(t *testing.T) {
	total := newCoverage(t)
	for _, lock := range append(lockNames, "rwmutex") {
		for _, sit := range situations {
			if sit.only == "" || slices.Contains(strings.Fields(sit.only), lock) {
				t.Run(lock+"/"+sit.name, func(t *testing.T) {
					proctest.NoLeaks(t)
					st := newStepping(t, sit, lock, total)
					st.run(t)
					t.Log(st.report())
					total.add(st.coverage)
				})
			}
		}
	}
	t.Log("all together:" + total.functions())
	proctest.Verified(t, "stress", "Lock and Unlock, killed at each instruction", "%s", total.report())
}

// A stepping is all rounds of one situation.
type stepping struct {
	situation
	*scene
	*controls
	*coverage
	earlier map[uintptr]bool // where victims were killed in other situations
	sum     int64            // what N was before the others began to work
	lock    string
	file    *os.File

	// Two that are there all the time; the other is who else holds the lock
	// before, or who waits.
	survivor, other *proctest.Proc
	working         *proctest.Proc // one of the two that is at work already, or waits to be

	path     []uintptr // the instructions of one passage
	turned   int       // how many of them come before the context ends
	finished int       // rounds in which the victim was through before it was killed
	held     int       // and in which it held the lock
	told     int
}

func newStepping(t *testing.T, sit situation, lock string, earlier *coverage) *stepping {
	s, file := stage[scene](t)
	c, err := controlsIn(t, file)
	require.NoError(t, err)
	st := &stepping{situation: sit, scene: s, controls: c, coverage: newCoverage(t), earlier: earlier.killedAt, lock: lock, file: file}
	st.survivor, st.other = st.start(t), st.start(t)
	return st
}

func (st *stepping) start(t *testing.T) *proctest.Proc {
	return stepped.Start(t, []*os.File{st.file}, st.lock)
}

func (st *stepping) report() string {
	return fmt.Sprintf("%d instructions on the way; the victim was through in %d rounds, held the lock in %d, somebody was told in %d; %s",
		len(st.path), st.finished, st.held, st.told, st.coverage.report())
}

const (
	never     = 1 << 30
	abandoned = 1 << 30 // A
	wake      = 1       // FUTEX_WAKE of linux/futex.h, without FUTEX_PRIVATE_FLAG
)

func (st *stepping) run(t *testing.T) {
	t.Run("the whole way", func(t *testing.T) {
		st.round(t, end{number: never}, st.start(t), st.start(t), &st.path)
	})
	st.rounds(t, st.choose())
	if t.Failed() {
		return
	}
	// Not every passage is like the first one.
	var others []end
	left := st.path[:st.begin()]
	for pc := range st.executed {
		if ours(pc) != "" && !st.killedAt[pc] && !(st.earlier[pc] && slices.Contains(left, pc)) {
			others = append(others, end{from: pc})
		}
	}
	st.rounds(t, others)
}

// rounds does so many rounds.
func (st *stepping) rounds(t *testing.T, ends []end) {
	// Clean-ups of helpers run when their part of the rounds is over.
	for part := range slices.Chunk(proctest.Sample(t, ends), 100) {
		passed := t.Run(fmt.Sprintf("%d rounds", len(part)), func(t *testing.T) {
			victim := st.start(t)
			for _, e := range part {
				newcomer := st.start(t) // the next victim
				st.round(t, e, victim, newcomer, nil)
				victim = newcomer
			}
		})
		if !passed {
			return // the survivors may have got stuck
		}
	}
}

// round steps a victim to its end, kills it there and has the others work.
func (st *stepping) round(t *testing.T, e end, victim, newcomer *proctest.Proc, path *[]uintptr) {
	corpse := st.prepare(t, victim)
	victim.Tell(t, "step "+st.order)
	tid, err := strconv.Atoi(victim.Line(t))
	require.NoError(t, err)
	s := victim.Seize(t, tid, func() { st.Go.Store(1) })
	othersLock := strings.HasSuffix(st.before, "by another")
	letGo := func() {
		switch {
		case !othersLock:
		case st.before == "read by another":
			do(t, st.other, "runlock")
		default:
			do(t, st.other, "unlock")
		}
		othersLock = false
	}
	low, high := halves(st.scene.lock(st.lock))
	sleeps := func() { // the victim does, or is about to
		switch {
		case strings.HasSuffix(st.letGo+st.cancel, "as the heir") && high.Load() == 0:
			futex.Wake(low, 1) // for no reason; see prepare
		case st.cancel == "free":
			st.Ended.Store(1)
			letGo()
		case st.cancel != "":
			st.cancelled(t, low)
		default:
			letGo()
		}
	}
	running := e.from != 0 && !s.RunTo(t, e.from, func() bool {
		announced := low.Load()&waiting != 0
		if st.cancel != "" || st.before == "read by another" { // then it is to be woken, and not in vain
			announced = asleepOnLock(t, victim.Pid())
		}
		if announced && othersLock {
			sleeps()
		}
		return st.Done.Load() == 0
	})
	asleep := false
	for n := 0; !running && n < e.number && st.Done.Load() == 0; n++ {
		if path != nil {
			*path = append(*path, s.PC())
			if st.Ended.Load() == 0 {
				st.turned = len(*path)
			}
		}
		st.executed[s.PC()] = true
		switch call, ok := s.Call(t); {
		case asleep:
			sleeps()
			s.End(t)
			asleep = false
		case ok && call.Number == unix.SYS_FUTEX_WAITV && othersLock:
			s.Begin(t)
			s.AwaitSleep(t)
			asleep = true
		case ok && call.Number == unix.SYS_FUTEX && call.Arg1 == wake && st.order == "unlock":
			require.NotEqual(t, victim.Pid(), st.holder(), "wakes before it has let go")
			s.Step(t)
		default:
			if st.letGo == "spinning" && inSpin(s.PC()) {
				letGo()
			}
			s.Step(t)
		}
	}
	st.finished += int(st.Done.Load())
	if !running {
		st.killed(t, s.PC())
	}

	// The victim stands, so whether it holds the lock cannot change any more.
	// The mark can: who waits may take the lock of a dead owner.
	told, pid := 0, 0
	switch {
	case st.holder() == victim.Pid():
		told, pid = 1, victim.Pid()
		st.held++
	case corpse != 0 && st.holder() == corpse:
		told, pid = 1, corpse
	case corpse != 0, low.Load()&abandoned != 0:
		told = 1 // whatever the word says: nobody has repaired
	}
	at := fmt.Sprintf("%s/%s, %v: at %s", st.lock, st.name, e, where(s.PC()))
	s.Kill(t)
	letGo()
	st.goOn(t, at, told, pid, newcomer)
}

// prepare brings the lock into the state that the operation begins in.
func (st *stepping) prepare(t *testing.T, victim *proctest.Proc) (corpse int) {
	require.Zero(t, st.word(st.lock)())
	do(t, victim, "lock", "unlock") // it is on the roster, and its stack has grown
	if st.lock == "rwmutex" {
		do(t, victim, "rlock", "runlock") // it has a cell
	}
	switch st.before {
	case "read by the victim":
		do(t, victim, "rlock")
	case "read by another":
		do(t, st.other, "rlock")
	case "dead reader":
		first := st.start(t)
		do(t, first, "rlock")
		first.Kill(t)
	case "held by the victim":
		do(t, victim, "lock")
	case "held twice by the victim":
		do(t, victim, "lock", "lock")
	case "held by another":
		do(t, st.other, "lock")
	case "dead owner", "held with the mark":
		first := st.start(t)
		do(t, first, "lock")
		first.Kill(t)
		corpse = first.Pid()
		if st.before == "held with the mark" {
			ask(t, victim, "lock or learn", "died "+strconv.Itoa(corpse))
		}
	}
	st.sum = st.N
	if st.waiter != "" {
		waiter := st.other
		if st.before == "held by another" {
			waiter = st.survivor
		}
		st.work(t, waiter)
		if st.waiter == "waits for a reader" {
			awaitTrueSleeper(t, waiter.Pid())
		} else {
			awaitSleeper(st.word(st.lock))
		}
	}
	if strings.HasPrefix(st.waiter, "is the heir") {
		for low, high := halves(st.scene.lock(st.lock)); high.Load() == 0; {
			futex.Wake(low, 1) // for no reason; a wait that has lasted long enough asks for the lock
			runtime.Gosched()
		}
	}
	if st.waiter == "is the heir, stopped" {
		st.working.Stop(t)
	}
	return corpse
}

// cancelled ends the context of the victim, which sleeps, and wakes it. The
// kinds are:
//
//   - asleep, asleep as the heir: the lock is held all the time;
//   - woken: before the victim looks the holder has let go, which took W away and
//     woke the victim, and has the lock once more. Another waiter sleeps on;
//   - free: the holder has let go, and the lock is kept for another.
func (st *stepping) cancelled(t *testing.T, low *atomic.Uint32) {
	if st.cancel == "woken" && st.Ended.Load() == 0 {
		st.work(t, st.survivor)
		awaitTrueSleeper(t, st.survivor.Pid())
		low.And(^uint32(waiting))
	}
	st.Ended.Store(1)
	futex.Wake(low, 1)
}

// work has one of the two work, or wait for that.
func (st *stepping) work(t *testing.T, p *proctest.Proc) {
	p.Tell(t, "work")
	st.working = p
}

// goOn has everybody who is left work, and counts who was told of a death.
func (st *stepping) goOn(t *testing.T, at string, told, pid int, newcomer *proctest.Proc) {
	st.Go.Store(0)
	st.Done.Store(0)
	st.Ended.Store(0)
	if st.waiter == "is the heir, stopped" {
		st.working.Cont(t)
	}
	workers := []*proctest.Proc{st.survivor, st.other, newcomer}
	for _, w := range workers {
		if w != st.working {
			w.Tell(t, "work")
		}
	}
	st.working = nil
	var deaths []string
	for _, w := range workers {
		line, ok := strings.CutPrefix(w.Line(t), "worked")
		require.True(t, ok, at)
		deaths = append(deaths, strings.Fields(line)...)
	}
	st.told += len(deaths)
	if told == 0 {
		require.Empty(t, deaths, at)
	} else {
		require.Equal(t, []string{strconv.Itoa(pid)}, deaths, at)
	}
	require.EqualValues(t, st.sum+int64(len(workers)*shifts), st.N, at)
	low, high := halves(st.scene.lock(st.lock))
	require.Zero(t, low.Load(), at)
	require.Zero(t, high.Load(), at)
}

func (st *stepping) holder() int {
	pid, _ := st.scene.lock(st.lock).Holder()
	return pid
}

// shifts is how often each worker takes the lock.
const shifts = 3

// work takes the lock and lets it go, and returns whose death it was told of.
func work(s *scene, l psync.Locker) (deaths string, err error) {
	for range shifts {
		err := l.LockContext(context.Background())
		var died *psync.OwnerDiedError
		if errors.As(err, &died) {
			deaths += " " + strconv.Itoa(died.Pid)
			l.MarkConsistent()
		} else if err != nil {
			return "", err
		}
		s.N++
		l.Unlock()
	}
	return deaths, nil
}
