//go:build crash

package sync_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	psync "github.com/go-multiproc/multiproc/sync"
)

// An rwPassage brings the victim to one step of an RWMutex: what went before,
// the order in which it passes the step, whether the next writer must be told
// after a kill, and who has to wait while it is stopped there.
type rwPassage struct {
	point  probe.Point
	before string // see rwDrive
	order  string
	told   bool
	waits  string // nobody, writers, all
}

var rwPassages = []rwPassage{
	{probe.RW201, "free", "lock", false, "nobody"},
	{probe.RW202, "no cell", "rlock", false, "nobody"},
	{probe.RW203, "no cell", "rlock", false, "nobody"},
	{probe.RW204, "dead reader", "lock", false, "all"},
	{probe.RW205, "dead reader", "lock", false, "all"},
	{probe.RW206, "full", "rlock", false, "all"},
	{probe.RW207, "read by us", "lock", false, "all"},
	{probe.RW208, "read by us", "lock", false, "all"},
	{probe.RW209, "dead announcer", "lock", false, "all"},
	{probe.RW209, "dead announcer", "rlock", false, "all"},
	{probe.RW210, "free", "lock", false, "all"},
	{probe.RW211, "free", "lock", false, "all"},
	{probe.RW211, "dead writer", "lock", true, "all"},
	{probe.RW212, "written by the victim", "unlock", true, "all"},
	{probe.RW213, "written by the victim", "unlock", false, "all"},
	{probe.RW214, "free", "rlock", false, "nobody"},
	{probe.RW215, "free", "rlock", false, "writers"},
	{probe.RW216, "free", "race", false, "writers"},
	{probe.RW217, "written by us", "rlock", false, "nobody"},
	{probe.RW218, "dead announcer", "rlock", false, "all"},
	{probe.RW219, "dead announcer", "rlock", false, "all"},
	{probe.RW219, "dead writer", "rlock", true, "all"},
	{probe.RW220, "read by the victim", "runlock", false, "writers"},
	{probe.RW221, "read by the victim, a writer waits", "runlock", false, "nobody"},
}

// Every step of the RWMutex is in the table.
func TestRWMutexPassagesAreComplete(t *testing.T) {
	var points []probe.Point
	for _, p := range rwPassages {
		points = append(points, p.point)
	}
	require.Subset(t, points, probe.Points(probe.RW201, probe.RW221))
}

// An rwTheatre is where a passage takes place.
type rwTheatre struct {
	*rwScene
	files  []*os.File
	victim *proctest.Proc
	waiter *proctest.Proc // a writer that waits for the victim
	full   roster.ID      // whose readers fill the table
}

// rwDrive brings a new victim to the step, where sig hits it. Nothing is held
// by us any more then.
func rwDrive(t *testing.T, p rwPassage, sig syscall.Signal) *rwTheatre {
	s, files, _ := rwStage(t, 0)
	th := &rwTheatre{rwScene: s, files: files, victim: rwRacer.Start(t, files)}
	if p.before != "no cell" {
		do(t, th.victim, "rlock", "runlock")
	}
	switch p.before {
	case "dead reader", "dead writer", "dead announcer":
		th.die(t, strings.TrimPrefix(p.before, "dead "))
	case "full":
		th.fill(t)
	case "read by us":
		s.RW.RLock()
	case "written by us":
		s.RW.Lock()
	case "written by the victim":
		do(t, th.victim, "lock")
	case "read by the victim", "read by the victim, a writer waits":
		do(t, th.victim, "rlock")
		if p.before != "read by the victim" {
			th.waiter = rwPlayer.Start(t, files)
			th.waiter.Tell(t, "lock")
			s.announced()
		}
	}
	do(t, th.victim, armFor(p.point, sig))
	th.victim.Tell(t, p.order)
	switch {
	case p.order == "race":
		th.race()
	case p.point == probe.RW208:
		s.announced()
		awaitTrueSleeper(t, th.victim.Pid())
		s.RW.RUnlock()
	}
	if sig == syscall.SIGKILL {
		require.ErrorContains(t, th.victim.Wait(t), "killed")
	} else {
		th.victim.AwaitStop(t)
	}
	switch {
	case p.before == "read by us" && p.point != probe.RW208:
		s.RW.RUnlock()
	case p.before == "written by us":
		s.RW.Unlock()
	case p.before == "full":
		th.empty()
	}
	return th
}

// die leaves the lock as one did that was killed as a reader or writer, or as a
// writer that waited for us.
func (th *rwTheatre) die(t *testing.T, as string) {
	first := rwPlayer.Start(t, th.files)
	switch as {
	case "reader":
		do(t, first, "rlock")
	case "writer":
		do(t, first, "lock")
	case "announcer":
		do(t, first, armFor(probe.RW211, syscall.SIGKILL))
		first.Tell(t, "lock")
		require.ErrorContains(t, first.Wait(t), "killed")
		return
	}
	first.Kill(t)
}

// fill has a living process read in every cell.
func (th *rwTheatre) fill(t *testing.T) {
	other := rwPlayer.Start(t, th.files)
	do(t, other, "rlock", "runlock")
	th.full = idOf(t, th.rwScene, other.Pid())
	fillCells(rwWordsOf(&th.RW), th.full)
}

func (th *rwTheatre) empty() {
	w := rwWordsOf(&th.RW)
	for _, cell := range w.counting() {
		cell.CompareAndSwap(1<<32|uint64(th.full), uint64(th.full))
	}
}

// rwRacer is a player that can read without pause.
var rwRacer = proctest.Register("rwmutex racer", play(func(ctx context.Context, s *rwScene, order string) string {
	if order != "race" {
		return actRW(ctx, s, order)
	}
	for ctx.Err() == nil {
		s.RW.RLock()
		s.RW.RUnlock()
	}
	return "ok"
}))

// race takes the lock until the victim has met it between its steps 214 and 215.
func (th *rwTheatre) race() {
	status := fmt.Sprintf("/proc/%d/stat", th.victim.Pid())
	for {
		text, err := os.ReadFile(status)
		if err != nil || bytes.Contains(text, []byte(") T ")) || bytes.Contains(text, []byte(") Z ")) {
			return // dead, or stopped
		}
		for range 100 {
			if th.RW.TryLock() {
				th.RW.Unlock()
			}
		}
	}
}

func forRWPassages(t *testing.T, sig syscall.Signal, test func(t *testing.T, p rwPassage, th *rwTheatre)) {
	for _, p := range rwPassages {
		t.Run(strings.ReplaceAll(p.point.String(), " ", "")+"/"+p.before, func(t *testing.T) {
			test(t, p, rwDrive(t, p, sig))
		})
	}
}

// A process is killed at each step of an RWMutex. Whoever was there and whoever
// comes new goes on; the next writer is told exactly if the victim, or who died
// before it, had the lock for writing.
func TestRWMutexKillAtEachStep(t *testing.T) {
	forRWPassages(t, syscall.SIGKILL, func(t *testing.T, p rwPassage, th *rwTheatre) {
		if th.waiter != nil {
			th.waiter.Expect(t, "ok")
			do(t, th.waiter, "unlock")
		}
		th.goOn(t, p.told)
	})
	proctest.Verified(t, "crash", "RWMutex, killed", "%d kills at %d steps", len(rwPassages), len(probe.Points(probe.RW201, probe.RW221)))
}

// goOn has a reader and a writer come, and then many.
func (th *rwTheatre) goOn(t *testing.T, told bool) {
	t.Helper()
	if told {
		require.ErrorIs(t, th.RW.RLockContext(t.Context()), psync.ErrOwnerDied)
		require.ErrorIs(t, th.RW.LockContext(t.Context()), psync.ErrOwnerDied)
		th.RW.MarkConsistent()
	} else {
		require.NoError(t, th.RW.RLockContext(t.Context()))
		th.RW.RUnlock()
		require.NoError(t, th.RW.LockContext(t.Context()))
	}
	th.RW.Unlock()
	th.workload(t)
}

// workload is what must still be possible.
func (th *rwTheatre) workload(t *testing.T) {
	t.Helper()
	newcomer := rwWorker.Start(t, th.files, "100")
	proctest.Gate(t, newcomer)
	var want int64
	for range 100 {
		want += th.visit()
	}
	n, err := strconv.ParseInt(newcomer.Line(t), 10, 64)
	require.NoError(t, err)
	require.NoError(t, newcomer.Wait(t))
	require.Equal(t, want+n, th.A)
	require.Equal(t, want+n, th.B)
	th.unlocked(t)
}

// A process is stopped at each step. Nobody takes anything from it; continued,
// it finishes what it began.
func TestRWMutexStopAtEachStep(t *testing.T) {
	forRWPassages(t, syscall.SIGSTOP, func(t *testing.T, p rwPassage, th *rwTheatre) {
		if th.waiter != nil {
			th.waiter.Expect(t, "ok")
			do(t, th.waiter, "unlock")
		}
		if p.waits == "all" {
			require.ErrorIs(t, th.RW.RLockContext(brief(t)), context.DeadlineExceeded)
		} else {
			require.NoError(t, th.RW.RLockContext(t.Context()))
			th.RW.RUnlock()
		}
		if p.waits == "nobody" {
			require.NoError(t, th.RW.LockContext(t.Context()))
			th.RW.Unlock()
		} else {
			require.ErrorIs(t, th.RW.LockContext(brief(t)), context.DeadlineExceeded)
		}
		th.victim.Cont(t)
		if p.order == "race" {
			th.victim.Tell(t, "cancel")
		}
		outcome := th.victim.Line(t)
		switch {
		case p.told && p.order == "lock":
			require.Regexp(t, "^died", outcome)
			do(t, th.victim, "mark", "unlock")
		case p.told && p.order == "rlock":
			require.Regexp(t, "^died", outcome)
			ask(t, th.victim, "lock", "died 0")
			do(t, th.victim, "mark", "unlock")
		default:
			require.Equal(t, "ok", outcome)
			switch p.order {
			case "lock":
				do(t, th.victim, "unlock")
			case "rlock":
				do(t, th.victim, "runlock")
			}
		}
		th.workload(t)
	})
	proctest.Verified(t, "crash", "RWMutex, stopped", "%d stops at %d steps", len(rwPassages), len(probe.Points(probe.RW201, probe.RW221)))
}

// Who comes after a dead one is killed at each of its steps as well.
func TestRWMutexKillRecovererAtEachStep(t *testing.T) {
	tests := []struct {
		first  string // how the first one died
		points []probe.Point
		orders []string // of the second one; the last one kills it
		told   bool
	}{
		{"reader", []probe.Point{probe.RW205, probe.RW204, probe.RW210, probe.RW211}, []string{"lock"}, false},
		{"reader", []probe.Point{probe.RW212}, []string{"lock", "unlock"}, true},
		{"reader", []probe.Point{probe.RW213}, []string{"lock", "unlock"}, false},
		{"announcer", []probe.Point{probe.Lock5, probe.Lock4, probe.RW209, probe.Lock9, probe.RW210, probe.RW211}, []string{"lock"}, false},
		{"announcer", []probe.Point{probe.RW217, probe.Lock5, probe.Lock4, probe.RW209, probe.Lock9, probe.RW218, probe.RW219}, []string{"rlock"}, false},
		{"announcer", []probe.Point{probe.RW220}, []string{"rlock", "runlock"}, false},
		{"writer", []probe.Point{probe.Lock5, probe.Lock4, probe.RW210, probe.RW211}, []string{"lock"}, true},
		{"writer", []probe.Point{probe.Lock5, probe.Lock4, probe.RW219, probe.RW213}, []string{"rlock"}, true},
		{"writer", []probe.Point{probe.Lock9}, []string{"lock", "mark"}, true},
		{"writer", []probe.Point{probe.RW213}, []string{"lock", "unlock"}, true},
		{"writer", []probe.Point{probe.RW212}, []string{"lock", "mark", "unlock"}, true},
		{"writer", []probe.Point{probe.RW213}, []string{"lock", "mark", "unlock"}, false},
	}
	kills := 0
	for _, tt := range tests {
		for _, point := range tt.points {
			kills++
			name := fmt.Sprintf("%s/%s/%s", tt.first, strings.Join(tt.orders, " "), strings.ReplaceAll(point.String(), " ", ""))
			t.Run(name, func(t *testing.T) {
				s, files, _ := rwStage(t, 0)
				th := &rwTheatre{rwScene: s, files: files}
				th.die(t, tt.first)
				second := rwPlayer.Start(t, files)
				for i, order := range tt.orders {
					last := i == len(tt.orders)-1
					if last {
						do(t, second, armFor(point, syscall.SIGKILL))
					}
					second.Tell(t, order)
					if !last {
						require.Regexp(t, "^(ok|died .*)$", second.Line(t))
					}
				}
				require.ErrorContains(t, second.Wait(t), "killed")
				th.goOn(t, tt.told)
			})
		}
	}
	proctest.Verified(t, "crash", "who comes to an RWMutex after a dead one, killed", "%d kills", kills)
}

// A writer comes and is in between a reader's two looks at the word: the reader
// finds it.
func TestRWMutexReaderLooksAgain(t *testing.T) {
	s, _, p := rwStage(t, 1)
	do(t, p[0], armFor(probe.RW214, syscall.SIGSTOP))
	p[0].Tell(t, "rlock")
	p[0].AwaitStop(t)
	s.RW.Lock()
	p[0].Cont(t)
	s.queued()
	s.RW.Unlock()
	p[0].Expect(t, "ok")
	do(t, p[0], "runlock")
	s.unlocked(t)
}

// A writer waits for a reader that has counted itself and not looked yet. The
// reader backs off, and wakes it.
func TestRWMutexReaderBacksOff(t *testing.T) {
	s, _, p := rwStage(t, 2)
	do(t, p[0], armFor(probe.RW215, syscall.SIGSTOP))
	p[0].Tell(t, "rlock")
	p[0].AwaitStop(t)
	p[1].Tell(t, "lock")
	s.announced()
	awaitTrueSleeper(t, p[1].Pid())
	p[0].Cont(t)
	p[1].Expect(t, "ok")
	s.queued()
	do(t, p[1], "unlock")
	p[0].Expect(t, "ok")
	do(t, p[0], "runlock")
	s.unlocked(t)
}
