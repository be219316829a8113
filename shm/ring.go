package shm

import (
	"context"
	"errors"
	"fmt"
	"structs"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/check"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A ring is the memory of a queue: a circle of units, a lock for each side, and
// two positions. Tail is where the putting side is, head where the getting
// side is. Each is advanced by one store, and that store is the commit: killed
// before it, a process has put nothing, or the item is still there to be got;
// killed after it, the work is done. There is nothing to undo.
//
// The steps, with the numbers of the probe points:
//
//	Put      30  lock the putting side
//	         31  its holder died: nothing to undo; set the flag of items, as it may have died
//	             between 34 and 35
//	         32  closing: unlock, ErrClosed.  No room between the head seen last and tail: look at
//	             head.  Still none: unlock, wait for room, 30
//	         33  write the items behind tail
//	         34  tail += n                                       COMMIT
//	         35  somebody may wait for items: raise the sequence, clear the flag, wake n;
//	             there were n: set the flag
//	         36  unlock
//	Get   40-46  the mirror, with head, and room instead of items.  43 copies out, 44 commits
//	Wait         no lock is held; seen is what the look under the lock showed
//	         51  set the flag                52  list the members, and a fence everywhere
//	         53  the position has changed, or closing, or no registered producer lives: look again
//	         54  futex_waitv [event == as in 51, L[each member] as in 52, cancelled == 0]
//	         55  if a member has died, wake the others who watch it; look again
//	         61  who gives up after a sleep wakes another
//	Close    56  set closing in both events, wake all. Never blocks
//	Seal     57  empty and closing: lock the putting side, which waits for a put under way; set
//	             sealed; look again. Empty and sealed: ErrClosed
//	Register 58  under the putting side: closing: ErrClosed; count this process as a producer
//	Last     59  empty, and no registered producer lives: lock the putting side, look again, 56
//
// Why a committer wakes before it unlocks, and restores the flag when it woke as
// many as it asked for: otherwise a sleeper can be left beside an item although
// nobody died. That is why the wake is inside the lock; it costs a system call
// only while somebody sleeps.
//
// Why a sleeper watches the liveness of all members of both sides: a committer
// that dies between 34 and 35 wakes nobody, and a sleeper that is woken and dies
// before 40 takes the wake with it. Their deaths wake the others instead, who
// look again.
//
// The protocol was checked by exhaustive model checking; see docs/specs.
type ring struct {
	mapping *mapping
	index   int // in the segment's directory
	name    string

	words   *ringWords
	members memberTable
	units   uint32 // capacity, a power of two
	limit   uint32 // most items at a time
	wakes   int    // how many waiting producers to wake for each item that was got
	counted bool   // tasks are counted

	items    side // where consumers wait
	room     side // where producers wait
	finished side // where those wait who want all tasks done
}

// A side is where those of this process wait that wait for one event.
type side struct {
	event *event
	gate  chan struct{} // holds a token while nobody sleeps here
}

func newSide(e *event) side {
	s := side{event: e, gate: make(chan struct{}, 1)}
	s.gate <- struct{}{}
	return s
}

// ringWords lie at the start of a ring, each on a cache line of its own unless
// one side alone uses it. The first line is one that hardly ever changes: Go
// checks that the pointer is not nil by reading there, also when only the
// address of another field is needed.
//
//	off size field
//	  0    4 registered somebody has ever registered as a producer
//	  4    4 highest    how many entries of the table of members were ever used
//	 64    8 put        lock of the putting side
//	 72    8 headSeen   where head was when the putting side looked last; guarded by put
//	128    8 tail       position: put so far
//	192    8 get        lock of the getting side
//	200    8 tailSeen   where tail was when the getting side looked last; guarded by get
//	256    8 head       position: got so far
//	320    4 items      event: something was put
//	384    4 room       event: something was got
//	448    4 finished   event: tasks were done
type ringWords struct {
	_          structs.HostLayout
	registered atomic.Uint32
	highest    atomic.Uint32
	_          [56]byte
	put        psync.Mutex
	headSeen   uint64
	_          [48]byte
	tail       atomic.Uint64
	_          [56]byte
	get        psync.Mutex
	tailSeen   uint64
	_          [48]byte
	head       atomic.Uint64
	_          [56]byte
	items      event
	_          [60]byte
	room       event
	_          [60]byte
	finished   event
	_          [60]byte
}

const (
	ringWordsSize = 512
	ringMembers   = 1024 // where the table of members begins
	ringData      = ringMembers + memberCount*memberSize

	maxUnits = 1 << 31
)

// wait begins a wait at one side.
func (r *ring) wait(ctx context.Context, s *side) wait {
	return wait{ctx: ctx, event: s.event, gate: s.gate, watch: r.members.watch}
}

// open lays r over a segment. The entry was checked.
func (r *ring) open(m *mapping, index int, e entry) error {
	*r = ring{
		mapping: m, index: index, name: m.file.Name(),
		words:   &viewOf[ringWords](m.data[headerSize:], 1)[0],
		units:   uint32(e.Length),
		limit:   uint32(e.Limit),
		wakes:   1,
		counted: e.Mode&modeCounted != 0,
	}
	if e.Mode&modeRecords != 0 {
		r.wakes = allWaiters // what is too small for one may be enough for another
	}
	r.items, r.room, r.finished = newSide(&r.words.items), newSide(&r.words.room), newSide(&r.words.finished)
	barrier.Prepare()
	err := r.members.join(r.words, viewOf[member](m.data[headerSize+ringMembers:], memberCount))
	if err != nil {
		*r = ring{} // as if detached
	}
	return err
}

// allWaiters is more than can wait.
const allWaiters = 1 << 20

// atOnce is the context of operations that do not wait for items or room.
var atOnce context.Context = &noWait{context.Background()}

type noWait struct{ context.Context }

// patient returns the context with which an operation waits for a lock or for
// the threads of a dead process. Such waits take moments, unless a process is
// stopped.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx == atOnce {
		return context.WithTimeout(context.Background(), tryPatience)
	}
	return ctx, func() {}
}

// tryPatience is how long an operation that does not wait for items or room may
// wait for what takes only a moment.
const tryPatience = 10 * time.Millisecond

// lock takes the lock of one side: steps 30 and 31, or 40 and 41. If its holder
// died after a commit, nobody may know of what it put or got.
func (r *ring) lock(ctx context.Context, m *psync.Mutex, told *event, died probe.Point) error {
	ctx, cancel := patient(ctx)
	defer cancel()
	err := m.LockContext(ctx)
	if errors.Is(err, psync.ErrOwnerDied) {
		probe.At(died)
		told.word.Or(eventSleeper)
		told.wake(allWaiters)
		m.MarkConsistent()
		return nil
	}
	return err
}

// beginPut waits for room for one item of at least some units, and returns with
// the putting side locked: where to put, and how many units are free there. A
// need that depends on the place is given as a function, else it is one unit.
func (r *ring) beginPut(ctx context.Context, need func(tail position) uint32, wanted uint32) (tail position, free uint32, err error) {
	tail, free, seen, err := r.lookPut(ctx, need, wanted)
	if err != ErrFull || ctx == atOnce {
		return tail, free, err
	}
	return r.waitPut(ctx, need, wanted, seen)
}

// waitPut is beginPut for who has found the ring full.
func (r *ring) waitPut(ctx context.Context, need func(tail position) uint32, wanted uint32, seen position) (tail position, free uint32, err error) {
	err = ErrFull
	w := r.wait(ctx, &r.room)
	defer func() { w.end(err) }()
	for err == ErrFull {
		if err = w.until(func() bool { return position(r.words.head.Load()) != seen || r.words.items.closing() }); err == nil {
			tail, free, seen, err = r.lookPut(ctx, need, wanted)
		}
	}
	return tail, free, err
}

// lookPut is steps 30 to 32: with the putting side locked it returns where to
// put, and how many units are free there. It needs room for one more item of at
// least some units, and looks whether there are as many as are wanted. Without
// the lock it returns ErrFull, and the head that left no room.
func (r *ring) lookPut(ctx context.Context, need func(position) uint32, wanted uint32) (tail position, free uint32, seen position, err error) {
	w := r.words
	if w == nil {
		return 0, 0, 0, errDetached
	}
	probe.At(probe.Put30)
	if !w.put.TryLock() {
		if err := r.lock(ctx, &w.put, &w.items, probe.Put31); err != nil {
			return 0, 0, 0, err
		}
	}
	probe.At(probe.Put32)
	tail = position(w.tail.Load())
	head := position(w.headSeen)
	least := uint32(1)
	if need != nil {
		least = need(tail)
	}
	free = r.free(tail, head)
	if free < max(least, wanted) {
		head = position(w.head.Load())
		w.headSeen = uint64(head)
		free = r.free(tail, head)
	}
	switch {
	case w.items.closing():
		err = errQueueClosed
	case tail.units()-head.units() > r.units || tail.items()-head.items() > r.limit:
		err = r.corrupt("head %#x, tail %#x", uint64(head), uint64(tail))
	case free < least:
		err = ErrFull
	default:
		return tail, free, 0, nil
	}
	w.put.Unlock()
	return 0, 0, head, err
}

// free returns how many units can be put, none if there are as many items as may
// be.
func (r *ring) free(tail, head position) uint32 {
	items := tail.items() - head.items()
	if items >= r.limit {
		return 0
	}
	free := r.units - (tail.units() - head.units())
	if r.wakes == 1 { // a unit an item
		free = min(free, r.limit-items)
	}
	return free
}

// commitPut is steps 34 to 36.
func (r *ring) commitPut(tail position, items, units uint32) {
	w := r.words
	if check.Race {
		check.Release(&w.tail)
	}
	probe.At(probe.Put34)
	barrier.Commit(&w.tail, uint64(tail.plus(items, units)))
	probe.At(probe.Put35)
	if w.items.word.Load()&eventSleeper != 0 {
		w.items.wake(int(items))
	}
	probe.At(probe.Put36)
	w.put.Unlock()
}

// lookGet is steps 40 to 42: with the getting side locked it returns where to
// get, and how many units there are. Without the lock it returns ErrEmpty, and
// the tail that left nothing.
func (r *ring) lookGet(ctx context.Context, wanted uint32) (head position, filled uint32, seen position, err error) {
	w := r.words
	if w == nil {
		return 0, 0, 0, errDetached
	}
	for {
		probe.At(probe.Get40)
		if !w.get.TryLock() {
			if err := r.lock(ctx, &w.get, &w.room, probe.Get41); err != nil {
				return 0, 0, 0, err
			}
		}
		probe.At(probe.Get42)
		head = position(w.head.Load())
		filled = position(w.tailSeen).units() - head.units()
		var state uint32
		if filled < wanted {
			state = w.items.word.Load() // before tail: what is sealed now was empty then
			tail := position(w.tail.Load())
			w.tailSeen = uint64(tail)
			filled = tail.units() - head.units()
			seen = tail
		}
		if filled > r.units {
			w.get.Unlock()
			return 0, 0, 0, r.corrupt("head %#x, tail %#x", uint64(head), w.tailSeen)
		}
		if filled > 0 {
			if check.Race {
				check.Acquire(&w.tail)
			}
			return head, filled, 0, nil
		}
		w.get.Unlock()
		switch again, err := r.ended(ctx, state); {
		case err != nil:
			return 0, 0, 0, err
		case !again:
			return 0, 0, seen, ErrEmpty
		}
	}
}

// beginGet waits for an item, and returns with the getting side locked: where to
// get, and how many units are filled there.
func (r *ring) beginGet(ctx context.Context, wanted uint32) (head position, filled uint32, err error) {
	head, filled, seen, err := r.lookGet(ctx, wanted)
	if err != ErrEmpty || ctx == atOnce {
		return head, filled, err
	}
	return r.waitGet(ctx, wanted, seen)
}

// waitGet is beginGet for who has found the ring empty.
func (r *ring) waitGet(ctx context.Context, wanted uint32, seen position) (head position, filled uint32, err error) {
	err = ErrEmpty
	w := r.wait(ctx, &r.items)
	defer func() { w.end(err) }()
	for err == ErrEmpty {
		if err = w.until(func() bool {
			return position(r.words.tail.Load()) != seen || r.words.items.closing() || r.orphaned()
		}); err == nil {
			head, filled, seen, err = r.lookGet(ctx, wanted)
		}
	}
	return head, filled, err
}

// commitGet is steps 44 to 46.
func (r *ring) commitGet(head position, items, units uint32) {
	w := r.words
	if r.counted {
		r.members.got(items) // before 44: the count may be too high for a moment, never too low
	}
	probe.At(probe.Get44)
	barrier.Commit(&w.head, uint64(head.plus(items, units)))
	probe.At(probe.Get45)
	if w.room.word.Load()&eventSleeper != 0 {
		w.room.wake(int(items) * r.wakes)
	}
	probe.At(probe.Get46)
	w.get.Unlock()
}

// ended is steps 57 and 59, for who found the ring empty after it had seen this
// state of the items' event. It returns ErrClosed if nothing more can come, and
// reports whether to look again.
func (r *ring) ended(ctx context.Context, state uint32) (again bool, err error) {
	if state&eventSealed != 0 {
		return false, errQueueClosed
	}
	if state&eventClosing == 0 && !r.orphaned() {
		return false, nil
	}
	probe.At(probe.Seal57)
	if err := r.lock(ctx, &r.words.put, &r.words.items, probe.Put31); err != nil {
		return false, err
	}
	defer r.words.put.Unlock()
	probe.At(probe.Last59)
	if !r.words.items.closing() {
		if r.members.producing() {
			return true, nil // one has registered meanwhile
		}
		r.close()
	}
	r.words.items.word.Or(eventSealed)
	return true, nil
}

// orphaned reports whether producers were registered, and none is left.
func (r *ring) orphaned() bool {
	return r.words.registered.Load() != 0 && !r.members.producing()
}

// close is step 56.
func (r *ring) close() {
	probe.At(probe.Close56)
	r.words.items.alarm(eventClosing)
	r.words.room.alarm(eventClosing)
}

// fill is steps 33 to 36 for one item: if write fails or panics, nothing is put,
// and the wake that may have been consumed goes to another.
func (r *ring) fill(tail position, units uint32, write func() error) error {
	put := false
	defer func() {
		if !put {
			r.words.room.passOn()
			r.words.put.Unlock()
		}
	}()
	probe.At(probe.Put33)
	if err := write(); err != nil {
		return err
	}
	put = true
	r.commitPut(tail, 1, units)
	return nil
}

// take is steps 43 to 46 for one item: if read fails or panics, the item stays,
// and the wake that may have been consumed goes to another.
func (r *ring) take(head position, read func() (units uint32, err error)) error {
	got := false
	defer func() {
		if !got {
			r.words.items.passOn()
			r.words.get.Unlock()
		}
	}()
	probe.At(probe.Get43)
	units, err := read()
	if err != nil {
		return err
	}
	got = true
	r.commitGet(head, 1, units)
	return nil
}

// detach gives the ring up, and registrations with it.
func (r *ring) detach(registrations uint32) error {
	if r.words == nil {
		return errDetached
	}
	r.members.leave(registrations)
	m := r.mapping
	*r = ring{}
	return m.release()
}

// await makes the ring one of many that are waited for. It is ready when a look
// for items would not end with ErrEmpty. Who finds it ready may have consumed
// the wake for an item that it does not take, so it wakes another.
func (r *ring) await(list *await.List) (ready bool) {
	if r.words == nil {
		return true
	}
	if !arm(list, r.items.event, r.members.watch) {
		list.Bound(futex.PollInterval)
	}
	list.Bound(lastLook)
	head, tail := position(r.words.head.Load()), position(r.words.tail.Load())
	if tail == head && !r.words.items.closing() && !r.orphaned() {
		return false
	}
	r.words.items.passOn()
	return true
}

// len returns how many items lie between the ends. Head is read first: what is
// got meanwhile makes the answer too high, never negative.
func (r *ring) len() int {
	head := position(r.words.head.Load())
	tail := position(r.words.tail.Load())
	return int(min(tail.items()-head.items(), r.limit))
}

func (r *ring) corrupt(format string, args ...any) error {
	return r.fail("use", fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...))
}

func (r *ring) fail(op string, err error) error {
	return &Error{Op: op, Name: r.name, Err: err}
}
