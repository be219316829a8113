package verify

import (
	"fmt"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// A kind is what a client does with a lock; die is what happens to a process.
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

// A call is one operation on one lock. Clients are goroutines, numbered through
// all processes.
type call struct {
	kind
	client, process int

	// contended: somebody else was waiting meanwhile, so that the lock may have
	// been free, but kept for it.
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
	abandoned bool   // a holder died, and nobody has marked the lock consistent
	dead      uint64 // processes
}

func (s state) lives(process int) bool { return s.dead>>process&1 == 0 }

func (s state) free() state {
	s.owner, s.process, s.depth = nobody, nobody, 0
	return s
}

func (s state) held(c call) state {
	s.owner, s.process, s.depth = c.client, c.process, 1
	return s
}

// model returns the model of a lock, recursive or not. It is not deterministic
// because of operations without an outcome.
func model(recursive bool) porcupine.Model {
	nm := porcupine.NondeterministicModel{
		Init: func() []any { return []any{state{}.free()} },
		Step: func(s, in, out any) (next []any) {
			for _, n := range step(recursive, s.(state), in.(call), out.(result)) {
				next = append(next, n)
			}
			return next
		},
		DescribeOperation: func(in, out any) string { return describe(in.(call), out.(result)) },
	}
	return nm.ToModel()
}

// step returns the states in which the lock may be after an operation, none if
// it cannot have gone like that.
//
// An operation that never returned may be put before its process's death, with an
// effect, or after it, without.
func step(recursive bool, s state, c call, r result) []state {
	switch {
	case c.kind == die:
		s.dead |= 1 << c.process
		return []state{s}
	case !s.lives(c.process) && r.outcome == pending:
		return []state{s}
	case !s.lives(c.process):
		return nil // the dead do nothing
	case c.takes():
		return take(recursive, s, c, r)
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

func take(recursive bool, s state, c call, r result) (next []state) {
	for _, e := range endings(recursive, s, c) {
		if e.result == r || r.outcome == pending && e.state != s {
			next = append(next, e.state)
		}
	}
	return next
}

func endings(recursive bool, s state, c call) (all []ending) {
	may := func(o outcome, dead int, s state) { all = append(all, ending{result{o, dead}, s}) }
	if recursive && s.owner == c.client {
		s.depth++
		may(ok, nobody, s)
		return all
	}
	refuse := map[kind]outcome{tryLock: no, lockEnded: cancelled, lockContext: cancelled}
	theirs := s.owner != nobody && s.lives(s.process)
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
		switch c.kind {
		case tryLock:
			may(no, nobody, s)
		case lock:
			may(panicked, dead, abandoned.free())
			may(pending, nobody, abandoned.held(c)) // killed before it let go
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
	if r.dead != nobody {
		text += fmt.Sprintf(" (process %d)", r.dead)
	}
	return text
}

// finish completes a history: what never returned may have taken effect at any
// time, and each operation learns whether somebody else waited meanwhile.
func finish(history []porcupine.Operation) {
	for i := range history {
		if history[i].Output.(result).outcome == pending && history[i].Input.(call).kind != die {
			history[i].Return = math.MaxInt64
		}
	}
	for i := range history {
		o := &history[i]
		c := o.Input.(call)
		c.contended = slices.ContainsFunc(history, func(other porcupine.Operation) bool {
			oc := other.Input.(call)
			return oc.client != c.client && (oc.kind == lock || oc.kind == lockContext) && other.Call <= o.Return && o.Call <= other.Return
		})
		o.Input = c
	}
}
