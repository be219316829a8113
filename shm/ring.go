package shm

import (
	"context"
	"errors"
	"structs"
	"sync/atomic"
	"time"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/barrier"
	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/spin"
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
//	         31  its holder died, perhaps between 34 and the end of 35: raise the sequence of items,
//	             wake all. Nothing to undo
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
//	Done     60  done += n; nothing of mine is left: wake who waits in Join
//	Member   62  take, or give back, an entry of the table of members; wake all
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
	records bool   // items are records, else a unit is an item
	wakes   int    // how many waiting producers to wake for each item that was got
	counted bool   // tasks are counted

	items    side // where consumers wait
	room     side // where producers wait
	finished side // where those wait who want all tasks done
}

// A side is where those of this process wait that wait for one event.
type side struct {
	event *event
	pace  spin.Pace
	gate  chan struct{} // holds a token while nobody sleeps here
}

func (s *side) open(e *event) {
	s.event, s.gate = e, make(chan struct{}, 1)
	s.gate <- struct{}{}
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
	return wait{ctx: ctx, event: s.event, pace: &s.pace, gate: s.gate, others: &r.members}
}

// open lays r over a segment. The entry was checked.
func (r *ring) open(m *mapping, index int, e entry) error {
	*r = ring{
		mapping: m, index: index, name: m.file.Name(),
		words:   &viewOf[ringWords](m.data[headerSize:], 1)[0],
		units:   uint32(e.Length),
		limit:   uint32(e.Limit),
		wakes:   1,
		records: e.Mode&modeRecords != 0,
		counted: e.Mode&modeCounted != 0,
	}
	if r.records {
		r.wakes = allWaiters // what is too small for one may be enough for another
	}
	r.items.open(&r.words.items)
	r.room.open(&r.words.room)
	r.finished.open(&r.words.finished)
	barrier.Prepare()
	err := r.members.join(r.words, viewOf[member](m.data[headerSize+ringMembers:], memberCount))
	if err != nil {
		*r = ring{name: r.name} // as if detached
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

// detach gives the ring up, and registrations with it.
func (r *ring) detach(registrations uint32) error {
	if r.words == nil {
		return errDetached
	}
	r.members.leave(registrations)
	m := r.mapping
	*r = ring{name: r.name}
	return m.release()
}

// await makes the ring one of many that are waited for. It is ready when a look
// for items would not end with ErrEmpty. Who finds it ready may have consumed
// the wake for an item that it does not take, so it wakes another.
func (r *ring) await(list *await.List) (ready bool) {
	if r.words == nil {
		return true
	}
	if !arm(list, r.items.event, &r.members) {
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
