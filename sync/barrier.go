package sync

import (
	"context"
	"errors"
	"fmt"
	"math"
	"structs"
	"sync/atomic"

	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A Barrier lets a fixed number of parties go on only together: each calls Wait,
// and all calls return when the last has come. Then it is ready for the next round.
// A party is a call of Wait, by any goroutine of any process. The zero value is
// unusable until [Barrier.Init] has said how many there are.
//
// Instead of letting its parties wait for somebody who will not come, a barrier
// breaks: at once when the process of a party ends that is inside, or that of a
// registered member, wherever it is; when a party's context ends; when an action
// fails; and by Abort. All who are inside, and all who come later, get
// [ErrBroken], until Reset. A process that is stopped is alive: others wait for it.
//
// Layout, version 1, 512 bytes, the processor's byte order:
//
//	off size field
//	  0    8 state    parties, arrived, generation and status; see below
//	  8    4 members  counts processes that came anew; a futex word
//	 12    4 cut      the generation that Reset ended last, as it was in state
//	 16  496 cells    what each process is to the barrier; see barriercell.go
type Barrier struct {
	_       structs.HostLayout
	state   atomic.Uint64
	members atomic.Uint32
	cut     atomic.Uint32
	cells   [62]atomic.Uint64
}

// ErrBroken is told to who waits at a barrier that is broken, or that was reset
// meanwhile.
var ErrBroken = errors.New("psync: the barrier is broken")

// The state is 64 bits, changed by one CAS each time:
//
//	63..48  parties: how many meet; 0 = Init was not called
//	47..32  arrived: how many of them are inside; 0 unless filling
//	31..3   generation: raised whenever a round ends, and by Reset
//	 2      W  somebody may sleep
//	 1..0   status: filling, acting or broken
//
// The lower half is the futex word. The steps, with the numbers of the probe
// points:
//
//	Wait    301  w = state.  Broken: ErrBroken.  Acting: sleep until that is over; 301
//	        302  own cell new: members++, wake who sleeps on it
//	             generation still w's: CAS cell -> entered w's generation;  else 301
//	        303  a dead member: 307
//	        304  CAS w -> arrived + 1; the old one is the index.  The last, without an
//	             action: the same CAS makes it the next generation, filling; 308
//	             With one: acting, no party inside.  Before, a cut of long ago: cut = 0
//	        305  not the last: no W: set it.  Sleep while state and members are as seen, and the other owners
//	             live; a few ms if a dead one has not passed the fence.  A dead member, or the context ended: 307
//	             Another generation: it was cut ? ErrBroken : done.  Broken: ErrBroken
//	        306  the last runs the action;  CAS acting -> the next generation, filling; 308
//	Break   307  CAS w's generation, not broken -> broken, nobody inside
//	        308  there was W: wake all
//	Reset        307, if it is not broken;  fence the dead, then empty their cells, whatever is in them
//	        309  cut = state;  CAS broken -> the next generation, filling
//
// Invariant: a process marks its cell with the generation before it is counted in
// it, and never with an earlier one. So who dies inside has left a mark, and a
// death after the round breaks nothing.
//
// Why Break changes only the generation that its caller saw: a round that is over
// is over, whoever was slow to learn it. For the same reason the end of an action is
// a CAS: a store would make whole what broke meanwhile.
//
// Why members: a sleeper watches the processes that it knows, and must learn of each
// that comes after it fell asleep, or it would overlook its death. Who owned
// a cell already is watched already, so later rounds cost nothing.
//
// Why cut: who sleeps through a break and the Reset that follows finds just
// another generation. Reset therefore notes which one it ended, before it ends it. The
// note is taken away before its generation comes again, after 2^29 rounds.
//
// The bound of the sleep is for a wake that was lost with somebody who is no
// member, as a process that called Abort. See docs/protocol.md and docs/specs.
type barrierState uint64

const (
	partiesShift    = 48
	arrivedShift    = 32
	generationShift = 3

	statusFilling = 0
	statusActing  = 1
	statusBroken  = 2
	statusMask    = 3
	barrierW      = 1 << 2

	generationMask = 1<<29 - 1
)

func (w barrierState) parties() int       { return int(w >> partiesShift) }
func (w barrierState) arrived() int       { return int(w >> arrivedShift & math.MaxUint16) }
func (w barrierState) generation() uint32 { return uint32(w) >> generationShift }
func (w barrierState) status() int        { return int(w & statusMask) }

// with returns a state of the same parties with nobody inside and nobody asleep.
func (w barrierState) with(generation uint32, status int) barrierState {
	return w>>partiesShift<<partiesShift | barrierState(generation&generationMask)<<generationShift | barrierState(status)
}

// next returns the state after the round of w.
func (w barrierState) next() barrierState { return w.with(w.generation()+1, statusFilling) }

// over reports whether nobody waits any more for the end of generation g.
func (w barrierState) over(g uint32) bool { return w.generation() != g || w.status() == statusBroken }

func (b *Barrier) load() barrierState { return barrierState(b.state.Load()) }

// change is one step from w to next. It wakes whoever may sleep on w if that
// ends their wait.
func (b *Barrier) change(w, next barrierState) bool {
	if !b.state.CompareAndSwap(uint64(w), uint64(next)) {
		return false
	}
	if w&barrierW != 0 && next.over(w.generation()) {
		probe.At(probe.Bar308)
		futex.Wake(lowHalf(&b.state), futex.All)
	}
	return true
}

// Init says how many parties meet: 1 to 65535. All processes may call it: with the
// same number it does nothing, with another it returns an error.
func (b *Barrier) Init(parties int) error {
	if parties < 1 || parties > math.MaxUint16 {
		return fmt.Errorf("psync: a barrier cannot have %d parties, only 1 to %d", parties, math.MaxUint16)
	}
	if b.state.CompareAndSwap(0, uint64(parties)<<partiesShift) {
		return nil
	}
	if has := b.Parties(); has != parties {
		return fmt.Errorf("psync: Init of a barrier for %d parties, which is one for %d already", parties, has)
	}
	return nil
}

// usable returns the state, or says why it is none.
func (b *Barrier) usable() (barrierState, error) {
	w := b.load()
	switch {
	case w.parties() == 0:
		return w, errors.New("psync: a barrier is used before Init")
	case w.status() > statusBroken,
		w.status() == statusFilling && w.arrived() >= w.parties(),
		w.status() == statusActing && w.arrived() != 0,
		w.status() == statusBroken && w != w.with(w.generation(), statusBroken):
		return w, fmt.Errorf("psync: the barrier's memory is damaged: %#016x cannot be its state", uint64(w))
	}
	return w, nil
}

// Wait waits until all parties have come. The index tells them apart: each of 0 to
// parties-1 once in each round, in the order of arrival.
//
// With an error the index is -1, and it is
//
//   - [ErrBroken]: the barrier is or was broken, or reset;
//   - the context's error: this party has broken the barrier for the others. It has
//     not if they are still running the last round's action: then it was not inside;
//   - another one if this process cannot take part: Init was not called, the roster is
//     full, or more than 62 processes are inside or registered.
//
// With a context that has already ended the last party to come still makes the
// round complete.
//
// A party that was let go, and learns that only after the barrier has been broken and
// reset once more, is told ErrBroken as well.
//
// What a party wrote before Wait is visible to all of them afterwards.
func (b *Barrier) Wait(ctx context.Context) (index int, err error) { return b.WaitAction(ctx, nil) }

// WaitAction is Wait with something to do when all have come and before any goes
// on. The last party to come runs its action, the others' are not run, so all
// should bring the same. Until it is done newcomers wait for that.
//
// If it returns an error or panics, the barrier breaks: this party gets the
// error, or panics, and the others get [ErrBroken]. The same goes if its process
// dies, or another party's, or if a party's context ends meanwhile; an action that is
// still running then runs to its end, and its party gets ErrBroken.
func (b *Barrier) WaitAction(ctx context.Context, action func() error) (index int, err error) {
	me, err := roster.Join()
	if err != nil {
		return -1, fmt.Errorf("psync: %w", err)
	}
	check.Release(&b.state)
	w, err := b.arrive(ctx, me, action != nil)
	if err != nil {
		return -1, err
	}
	switch last := w.arrived() == w.parties()-1; {
	case !last:
		err = b.attend(ctx, me, w.generation())
	case action != nil:
		err = b.act(w.generation(), action)
	}
	if err != nil {
		return -1, err
	}
	check.Acquire(&b.state)
	return w.arrived(), nil
}

// Abort breaks the barrier. It does nothing if it is broken, and panics if Init
// was not called.
func (b *Barrier) Abort() {
	for {
		w := b.mustUse()
		if w.status() == statusBroken || b.fail(w.generation()) {
			return
		}
	}
}

// Reset makes the barrier as good as new: nobody inside, and not broken. Who is
// inside gets [ErrBroken]. Members that are dead are members no more; it waits
// until no thread of theirs runs. Living members stay.
//
// It panics if Init was not called, or if this process cannot join the roster of
// processes. If this process dies meanwhile the barrier is left broken.
func (b *Barrier) Reset() {
	if _, err := roster.Join(); err != nil {
		panic(fmt.Errorf("psync: %w", err))
	}
	g := b.mustUse().generation()
	b.fail(g)
	seen := b.load()
	w := seen.with(g, statusBroken)
	if seen.over(g) && seen.generation() == g {
		b.change(seen, w) // else damaged memory would never be w
	}
	b.bury(w)
	probe.At(probe.Bar309)
	for {
		cut := b.cut.Load() // before the state: a slow Reset puts nothing in the place of a later one's
		if b.load() != w || b.cut.CompareAndSwap(cut, uint32(w)) {
			break
		}
	}
	b.change(w, w.next()) // fails only if another Reset has done it, or the round was completed before all this
}

// mustUse returns the state. It does not mind what Abort and Reset make good.
func (b *Barrier) mustUse() barrierState {
	w := b.load()
	if w.parties() == 0 {
		_, err := b.usable()
		panic(err)
	}
	return w
}

// Broken reports whether the barrier is broken. It looks for members that have
// died; without a place in the roster of processes it cannot.
func (b *Barrier) Broken() bool {
	w := b.load()
	if me, err := roster.Join(); err == nil && w.status() != statusBroken && b.bereft(me, w.generation()) {
		b.fail(w.generation())
		w = b.load()
	}
	return w.status() == statusBroken
}

// Waiting returns how many parties are inside. It is 0 from the moment when the last
// has come, and when the barrier is broken.
func (b *Barrier) Waiting() int { return b.load().arrived() }

// Parties returns how many parties meet; 0 before Init.
func (b *Barrier) Parties() int { return b.load().parties() }
