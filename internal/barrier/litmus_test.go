package barrier

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/pause"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// The litmus test is the one of store buffers, with a process on each side:
//
//	committer: Commit(x, n); read y
//	sleeper:   y = n; Everywhere(); read x
//
// Not both may see the other's word as it was before round n. A round begins on
// both sides at about the same time; who finds that the other one is not running
// goes on without it, so that the test takes its time and no longer. Such a
// round shows nothing; the others are counted.
const (
	laneX = iota
	laneY
	laneCommitter // the round that it is in
	laneSleeper
	laneResults // a word of results of the committer, and one of the sleeper, for each 64 rounds
)

// A litmus is what each side does in a round.
type litmus struct {
	commit   func(x *atomic.Uint64, n uint64)
	announce func(y *atomic.Uint64, n uint64)
}

var litmuses = map[string]litmus{
	"as it is": {Commit, func(y *atomic.Uint64, n uint64) {
		y.Swap(n) // a fence, as the sleeper's Or is
		Everywhere()
	}},
	// What a committer that is refused falls back on needs no Everywhere.
	"fences": {Commit, func(y *atomic.Uint64, n uint64) { y.Swap(n) }},
	// The control: a fence on one side only.
	"no fence": {storeRelease, func(y *atomic.Uint64, n uint64) { y.Swap(n) }},
}

// side is one process of the test.
var side = proctest.Register("side", func(h *proctest.Helper) error {
	l := litmuses[h.Args[0]]
	committer := h.Args[1] == "committer"
	rounds, err := strconv.ParseUint(h.Args[2], 10, 64)
	if err != nil {
		return err
	}
	if h.Args[3] == "refuse" {
		if err := proctest.Refuse(unix.SYS_MEMBARRIER, unix.ENOSYS); err != nil {
			return err
		}
		Prepare()
	} else if !prepared() {
		return fmt.Errorf("membarrier does not register this process")
	}
	m, err := mapLanes(h.Files[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	h.Ready()
	x, y := &m[laneX].word, &m[laneY].word
	own, other := &m[laneSleeper].word, &m[laneCommitter].word
	if committer {
		own, other = other, own
	}
	old, met := uint64(0), 0
	for n := uint64(1); n <= rounds; n++ {
		if meet(own, other, n) {
			met++
		}
		var seen uint64
		if committer {
			l.commit(x, n)
			seen = y.Load()
		} else {
			l.announce(y, n)
			seen = x.Load()
		}
		if seen < n {
			old |= 1 << (n % 64)
		}
		if n%64 == 63 || n == rounds {
			at := &m[laneResults+n/64].word
			if committer {
				at = &m[laneResults+rounds/64+1+n/64].word
			}
			at.Store(old)
			old = 0
		}
	}
	h.Say(fmt.Sprint(met))
	return nil
})

// meet begins round n, and reports whether the other side is there as well.
func meet(own, other *atomic.Uint64, n uint64) bool {
	own.Store(n)
	for range 64 {
		if other.Load() >= n {
			return true
		}
		pause.Times(1)
	}
	_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // the other may be waiting for this processor
	return false
}

// play runs a number of rounds. It returns how many of them both sides began
// together, and in how many both saw the old value.
func play(t *testing.T, name string, rounds int, refuse string) (together, both int) {
	n := rounds/64 + 1
	file := lanes(t, laneResults+2*n)
	helpers := []*proctest.Proc{}
	for _, who := range []string{"committer", "sleeper"} {
		how := "register"
		if who == refuse {
			how = "refuse"
		}
		helpers = append(helpers, side.Start(t, []*os.File{file}, name, who, fmt.Sprint(rounds), how))
	}
	proctest.Gate(t, helpers...)
	together = rounds
	for _, p := range helpers {
		met, err := strconv.Atoi(p.Line(t))
		require.NoError(t, err)
		together = min(together, met)
		require.NoError(t, p.Wait(t))
	}
	m, err := mapLanes(file)
	require.NoError(t, err)
	for round := 1; round <= rounds; round++ {
		bit := uint64(1) << (round % 64)
		a := m[laneResults+round/64].word.Load()&bit != 0
		b := m[laneResults+n+round/64].word.Load()&bit != 0
		if a && b {
			both++
		}
	}
	return together, both
}

func TestNeitherOverlooksTheOther(t *testing.T) {
	proctest.NoLeaks(t)
	const rounds = 1_000_000
	together, both := play(t, "as it is", rounds, "")
	require.Zero(t, both, "rounds of %d in which each overlooked the other", rounds)
	proctest.Verified(t, "test", "two processes with a fence on one side", "%d rounds, %d of them begun together; none in which each overlooked the other", rounds, together)
}

// A committer that is refused fences, so it does not matter whether the sleeper is
// refused as well. (A sleeper that is refused may overlook one that is not: it is
// told, see TestRefused, and sleeps for a short time only.)
func TestRefusedCommitterIsNotOverlooked(t *testing.T) {
	proctest.NoLeaks(t)
	for _, name := range []string{"as it is", "fences"} {
		_, both := play(t, name, 200_000, "committer")
		require.Zero(t, both, name)
	}
}

// The control of the litmus test: without the fence the two do overlook each
// other, if there are two processors. How often depends on these.
func TestLitmusCanFail(t *testing.T) {
	proctest.NoLeaks(t)
	if !asymmetric || runtime.NumCPU() == 1 {
		return // both are in order
	}
	both := 0
	attempts := 0
	for ; both == 0 && attempts < 20; attempts++ {
		_, both = play(t, "no fence", 100_000, "")
	}
	t.Logf("without a fence each overlooked the other in %d of %d rounds", both, attempts*100_000)
	require.Positive(t, both, "the litmus test shows nothing on this machine")
}
