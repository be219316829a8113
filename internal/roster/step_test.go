//go:build stress && amd64

package roster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// Two words of the page that a newborn shares with the test.
const (
	seized   = iota // 1: it may begin
	finished        // 1: it has joined, or failed to
)

// newborn is a process that has never joined. It does so on a thread that can be
// stepped through: what Join has the keeper do, without errands.
var newborn = proctest.Register("newborn", func(h *proctest.Helper) error {
	if err := os.Setenv(Variable, h.Args[0]); err != nil {
		return err
	}
	words, err := mapWords(h.Files[0])
	if err != nil {
		return err
	}
	errands = make(chan func())
	close(errands)
	go func() {
		runtime.LockOSThread()
		growStack(1000)
		result := make(chan error, 1)
		h.Say(strconv.Itoa(unix.Gettid()))
		for words[seized].Load() == 0 {
			runtime.Gosched()
		}
		proctest.MarkStep()
		keep(result)
		words[finished].Store(1)
	}()
	select {} // until it is killed
})

// growStack makes room for whatever comes, so that stepping does not go through
// the runtime's making it.
func growStack(depth int) {
	if depth > 0 {
		growStack(depth - 1)
	}
}

// A nursery is what newborns come into.
type nursery struct {
	name string

	// prepare returns the table's path, and how to see that all is well when the
	// newborn is dead.
	prepare func(t *testing.T) (path string, check func(at string))
}

// A process is killed at each machine instruction of Join, in an ordinary build.
// Whoever was in the roster stays, and no slot is lost.
func TestStressKillAtEachInstructionOfJoin(t *testing.T) {
	kills, executed, killedAt := 0, map[uintptr]bool{}, map[uintptr]bool{}
	for _, n := range []nursery{
		{"takes a dead one's slot", inTable(1, false)},
		{"takes a new slot", inTable(2, false)},
		{"finds the table full", inTable(1, true)},
		{"makes the table", founding},
	} {
		t.Run(n.name, func(t *testing.T) {
			proctest.NoLeaks(t)
			var path []uintptr
			n.round(t, end{number: never}, &path)
			ends := chooseEnds(path, killedAt)
			for part := range slices.Chunk(ends, 100) { // clean-ups run when their part is over
				t.Run(fmt.Sprintf("%d rounds", len(part)), func(t *testing.T) {
					for _, e := range part {
						killedAt[n.round(t, e, nil)] = true
						kills++
					}
				})
			}
			for _, pc := range path {
				executed[pc] = executed[pc] || file(pc) != ""
			}
			t.Logf("%d instructions on the way, %d rounds", len(path), len(ends))
		})
	}
	of := func(pcs map[uintptr]bool) (n int) {
		for pc := range pcs {
			if file(pc) != "" {
				n++
			}
		}
		return n
	}
	for pc := range executed {
		require.True(t, killedAt[pc] || file(pc) == "", "nobody was killed at %s", where(pc))
	}
	proctest.Verified(t, "stress", "joining the roster, killed at each instruction", "%d kills at %d distinct instructions; internal/roster: %d of %d executed",
		kills, len(killedAt), of(killedAt), of(executed))
}

// An end is where a round kills: so many instructions after the first arrival at
// one, or after the begin.
type end struct {
	from   uintptr
	number int
}

const never = 1 << 30

// chooseEnds returns where a newborn is to be killed that goes the path: at each
// instruction of a claim, at each other one of this package if nobody was yet,
// and after the last of these until it is through.
func chooseEnds(path []uintptr, killedAt map[uintptr]bool) (all []end) {
	first := map[uintptr]bool{}
	last := 0
	for i, pc := range path {
		if file(pc) != "" && !first[pc] {
			if file(pc) == "claim.go" || !killedAt[pc] {
				all = append(all, end{from: pc})
			}
			last = i
		}
		first[pc] = true
	}
	for i := range len(path) - last + 1 {
		all = append(all, end{from: path[last], number: i + 1})
	}
	return all
}

// round steps a newborn to its end, kills it, and checks what is left. It returns
// the instruction that came next.
func (n nursery) round(t *testing.T, e end, path *[]uintptr) uintptr {
	t.Helper()
	table, check := n.prepare(t)
	page := memfd(t, int64(unix.Getpagesize()))
	words, err := mapWords(page)
	require.NoError(t, err)
	p := newborn.Start(t, []*os.File{page}, table)
	tid, err := strconv.Atoi(p.Line(t))
	require.NoError(t, err)
	s := p.Seize(t, tid, func() { words[seized].Store(1) })
	arrived := e.from == 0 || s.RunTo(t, e.from, func() bool { return words[finished].Load() == 0 })
	for i := 0; arrived && i < e.number && words[finished].Load() == 0; i++ {
		if path != nil {
			*path = append(*path, s.PC())
		}
		s.Step(t)
	}
	require.True(t, arrived, "it went another way than to %s", where(e.from))
	pc := s.PC()
	s.Kill(t)
	check(where(pc))
	return pc
}

// inTable prepares a table of three slots. The first is that of a living process,
// the second that of a dead one, the third new; or all belong to the living. The
// newborn's search begins at the given slot.
func inTable(cursor uint32, full bool) func(*testing.T) (string, func(string)) {
	var tab *table
	var path string
	former := makeID(1, 7)
	return func(t *testing.T) (string, func(string)) {
		if tab == nil || joined.Load() != tab {
			tab, path = newTable(t, 3)
		}
		for i := range tab.slots {
			s := &tab.slots[i]
			s.live.Store(0)
			s.generation.Store(0)
			s.pid.Store(0)
			s.start.Store(0)
			s.stack.Store(0)
		}
		tab.header.cursor.Store(0)
		living := []*thread{claimOnThread(tab, open)}
		<-living[0].ready
		s := &tab.slots[former.index()]
		s.live.Store(waiters | ownerDied)
		s.generation.Store(former.generation())
		s.pid.Store(uint32(deadPid))
		s.start.Store(1)
		for full && len(living) < len(tab.slots) {
			living = append(living, claimOnThread(tab, open))
			<-living[len(living)-1].ready
		}
		tab.header.cursor.Store(cursor)
		before := snapshot(tab)
		return path, func(at string) {
			for i := range living {
				require.Equal(t, before[i], snapshot(tab)[i], at)
			}
			require.False(t, Look(former).Alive, at)
			newcomers := make([]*thread, len(tab.slots)-len(living)+1)
			for i := range newcomers {
				newcomers[i] = claimOnThread(tab, open)
				<-newcomers[i].ready
				if i < len(newcomers)-1 {
					require.NoError(t, newcomers[i].err, "no slot is lost: %s", at)
					require.True(t, Look(newcomers[i].id).Alive, at)
				} else {
					require.ErrorIs(t, newcomers[i].err, ErrFull, at)
				}
			}
			for _, th := range slices.Concat(living, newcomers) {
				require.True(t, th.err != nil || Look(th.id).Alive, at)
				th.end(t)
			}
		}
	}
}

// deadPid is one that no process has.
const deadPid = 1 << 22

// founding prepares a place without a table.
func founding(t *testing.T) (string, func(string)) {
	path := filepath.Join(directory(t), "roster")
	return path, func(at string) {
		if left := names(t, filepath.Dir(path)); len(left) > 0 {
			require.Equal(t, []string{"roster"}, left, at)
		}
		tab, err := openPath(path)
		require.NoError(t, err, "there is a whole table, or none: %s", at)
		joined.Store(tab)
		tab.header.cursor.Store(0)
		newcomer := claimOnThread(tab, open)
		<-newcomer.ready
		require.NoError(t, newcomer.err, at)
		require.Zero(t, newcomer.id.index(), "the slot is not lost: %s", at)
		newcomer.end(t)
		joined.Store(nil)
		require.NoError(t, errors.Join(tab.close(), os.RemoveAll(filepath.Dir(path))))
	}
}

// file returns the file of this package, without its tests, whose function the
// instruction belongs to, or nothing.
func file(pc uintptr) string {
	f := runtime.FuncForPC(pc)
	if f == nil {
		return ""
	}
	name, _ := runtime.FuncForPC(f.Entry()).FileLine(f.Entry()) // by its entry: not what is inlined
	dir, base := filepath.Split(name)
	if !strings.HasSuffix(dir, "internal/roster/") || strings.HasSuffix(base, "_test.go") {
		return ""
	}
	return base
}

// where describes an address.
func where(pc uintptr) string {
	f := runtime.FuncForPC(pc)
	if f == nil {
		return fmt.Sprintf("%#x", pc)
	}
	_, line := f.FileLine(pc)
	return fmt.Sprintf("%s+%#x (line %d)", f.Name(), pc-f.Entry(), line)
}
