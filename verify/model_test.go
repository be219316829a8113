package verify

import (
	"fmt"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// An object is what clients use: a lock, or what several may hold at a time.
type object uint8

const (
	mutex object = iota
	rmutex
	rwmutex
	bounded

	permits = 3 // of a BoundedSemaphore
)

// A kind is what a client does with an object; die is what happens to a process. Of a
// BoundedSemaphore a lock is an Acquire, and an unlock a Release.
type kind uint8

const (
	lock        kind = iota + 1 // Lock
	lockContext                 // LockContext, whose context ends sooner or later, or never
	lockEnded                   // LockContext with a context that has ended
	tryLock
	unlock
	mark
	die
)

var kinds = [...]string{lock: "Lock", lockContext: "LockContext", lockEnded: "LockContext(ended)", tryLock: "TryLock",
	unlock: "Unlock", mark: "MarkConsistent", die: "die"}

func (k kind) takes() bool { return k <= tryLock }

// An outcome is how an operation went. Of one that never returned, because its
// process was killed, it is not known whether it had an effect.
type outcome uint8

const (
	pending   outcome = iota
	ok                // for a taking: the lock is held
	died              // held, and the death of a holder was told
	panicked          // not held; the death of a holder was told by a panic
	no                // not held
	cancelled         // not held
)

var outcomes = [...]string{"pending", "ok", "died", "panicked", "no", "cancelled"}

// A call is one operation on one object. Clients are goroutines, numbered through
// all processes.
type call struct {
	kind
	client, process int
	n               int // permits; 1 for reading; 0 for a lock that one has alone

	// contended: somebody else was waiting meanwhile, so that the lock may have
	// been free, but kept for it. See disturbs.
	contended bool
}

// A result is its outcome; whose death was told, or nobody's if that is no longer
// known.
type result struct {
	outcome
	dead int
}

const nobody = -1

// A state is what a lock is in between two operations.
type state struct {
	owner     int // client
	process   int // of the owner
	depth     int
	abandoned bool           // a holder died, and nobody has marked the lock consistent
	dead      uint64         // processes
	shares    [clients]uint8 // permits, or for reading
}

func (s state) lives(process int) bool { return s.dead>>process&1 == 0 }

// shared is how much the living have.
func (s state) shared() (n int) {
	for client, has := range s.shares {
		if s.lives(client / goroutines) {
			n += int(has)
		}
	}
	return n
}

func (s state) free() state {
	s.owner, s.process, s.depth = nobody, nobody, 0
	return s
}

func (s state) held(c call) state {
	if c.n > 0 {
		s.shares[c.client] += uint8(c.n)
	} else {
		s.owner, s.process, s.depth = c.client, c.process, 1
	}
	return s
}

// model returns the model of an object. It is not deterministic
// because of operations without an outcome.
func model(o object) porcupine.Model {
	nm := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}.free()} },
		Step: func(s, in, out any) (next []any) {
			for _, n := range step(o, s.(state), in.(call), out.(result)) {
				next = append(next, n)
			}
			return next
		},
		DescribeOperation: func(in, out any) string { return describe(in.(call), out.(result)) },
	}
	return nm.ToModel()
}

// step returns the states in which the object may be after an operation, none if
// it cannot have gone like that.
//
// An operation that never returned may be put before its process's death, with an
// effect, or after it, without.
func step(o object, s state, c call, r result) []state {
	switch {
	case c.kind == die:
		s.dead |= 1 << c.process
		return []state{s}
	case !s.lives(c.process) && r.outcome == pending:
		return []state{s}
	case !s.lives(c.process):
		return nil // the dead do nothing
	case c.takes():
		return take(o, s, c, r)
	case c.n > int(s.shares[c.client]):
		return nil
	case c.n > 0:
		s.shares[c.client] -= uint8(c.n)
	case s.owner != c.client:
		return nil
	case c.kind == mark:
		s.abandoned = false
	case s.depth > 1:
		s.depth--
	default:
		s = s.free()
	}
	return []state{s}
}

// An ending is one way in which a taking can go.
type ending struct {
	result
	state
}

func take(o object, s state, c call, r result) (next []state) {
	for _, e := range endings(o, s, c) {
		if e.result == r || r.outcome == pending && e.state != s {
			next = append(next, e.state)
		}
	}
	return next
}

func endings(of object, s state, c call) (all []ending) {
	may := func(o outcome, dead int, s state) { all = append(all, ending{result{o, dead}, s}) }
	if of == rmutex && s.owner == c.client {
		s.depth++
		may(ok, nobody, s)
		return all
	}
	refuse := map[kind]outcome{tryLock: no, lockEnded: cancelled, lockContext: cancelled}
	theirs := s.owner != nobody && s.lives(s.process) // or what they have leaves too little
	switch {
	case of == bounded:
		theirs = s.shared()+c.n > permits
	case c.n == 0:
		theirs = theirs || s.shared() > 0
	}
	if o := refuse[c.kind]; o != 0 && (theirs || c.kind == lockContext || s.owner == nobody && c.contended) {
		may(o, nobody, s)
	}
	switch {
	case theirs:
	case s.owner == nobody && !s.abandoned:
		may(ok, nobody, s.held(c))
	default: // the last owner is dead, or died before somebody else had the lock
		dead := s.process
		abandoned := s
		abandoned.abandoned = true
		alone := c
		alone.n = 0
		switch {
		case c.kind == tryLock:
			may(no, nobody, s)
			if of == rwmutex { // it was told, and let go
				may(no, nobody, abandoned.free())
				may(pending, nobody, abandoned.held(alone))
			}
		case c.kind == lock:
			may(panicked, dead, abandoned.free())
			may(pending, nobody, abandoned.held(alone)) // killed before it let go
		case c.n > 0: // a reader is told, and does not have the lock
			may(died, dead, abandoned.free())
			may(pending, nobody, abandoned.held(alone))
		default:
			may(died, dead, abandoned.held(c))
		}
	}
	return all
}

func describe(c call, r result) string {
	text := fmt.Sprintf("%d.%d %s", c.process, c.client, kinds[c.kind])
	if c.kind != die {
		text += " " + outcomes[r.outcome]
	}
	if c.n > 0 {
		text += fmt.Sprintf(" for %d", c.n)
	}
	if r.dead != nobody {
		text += fmt.Sprintf(" (process %d)", r.dead)
	}
	return text
}

// finish completes a history: what never returned may have taken effect at any
// time, and each operation learns whether somebody else waited meanwhile.
func finish(o object, history []porcupine.Operation) {
	for i := range history {
		if history[i].Output.(result).outcome == pending && history[i].Input.(call).kind != die {
			history[i].Return = math.MaxInt64
		}
	}
	for i := range history {
		op := &history[i]
		c := op.Input.(call)
		c.contended = slices.ContainsFunc(history, func(other porcupine.Operation) bool {
			oc := other.Input.(call)
			return oc.client != c.client && disturbs(o, oc.kind, c.kind) && other.Call <= op.Return && op.Call <= other.Return
		})
		op.Input = c
	}
}

// disturbs reports whether one who does something with a free object at the same time may
// make another go away empty-handed. Who waits may have a lock kept for it. Who tries
// for an RWMutex holds up others for a moment, and for a BoundedSemaphore those who do
// not want to wait at all.
func disturbs(o object, one, another kind) bool {
	switch {
	case one == lock || one == lockContext:
		return true
	case o == rwmutex, o == bounded && another == lockEnded:
		return one == lockEnded || one == tryLock
	}
	return false
}
