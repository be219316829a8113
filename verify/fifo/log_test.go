package fifo

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/shm"
)

// An entry is one operation in shared memory, which survives its client. Call is
// stored before it begins and after what it is, Return when it is over and after
// how it went; an entry without Return belongs to one who was killed.
type entry struct {
	Call, Return atomic.Int64 // CLOCK_MONOTONIC, which all processes share
	Item         item
	Kind         kind
	Outcome      outcome
	_            [6]byte
}

func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// A logbook is the log of one client: what is left of it.
type logbook []entry

// logOf returns the log of one client in an array for all of them.
func logOf(all *shm.Array[entry], client, length int) logbook {
	return all.View()[client*length:][:length]
}

// begin records that n operations begin.
func (l logbook) begin(k kind, n int, items ...item) {
	t := now()
	for i := range l[:n] {
		e := &l[i]
		e.Kind = k
		if k == put {
			e.Item = items[i]
		}
		e.Call.Store(t)
	}
}

// end records what they have come to: so many took effect, and the next one went
// in this way if that is not ok. The others are as if they had never begun.
func (l *logbook) end(n int, took []item, o outcome) {
	t := now()
	for _, i := range took {
		l.next(i, ok, t)
	}
	if o != ok {
		l.next(0, o, t)
		n--
	}
	for i := range (*l)[:n-len(took)] {
		(*l)[i].Call.Store(0)
	}
}

func (l *logbook) next(i item, o outcome, t int64) {
	e := &(*l)[0]
	e.Item, e.Outcome = i, o
	e.Return.Store(t)
	*l = (*l)[1:]
}

// A death is one process's: some time between the signal and its reaping.
type death struct{ begin, end int64 }

// read adds a client's operations to the history. died is its death, if it has
// died. It returns when the client said that it would put nothing more, or was
// killed.
func (h *history) read(log logbook, client int, died *death) (left int64, err error) {
	left = never
	if died != nil {
		left = died.begin
	}
	for turn := range log {
		e := &log[turn]
		if e.Call.Load() == 0 {
			break
		}
		o := op{kind: e.Kind, outcome: e.Outcome, item: e.Item, client: client, turn: turn, call: e.Call.Load(), ret: e.Return.Load()}
		if o.ret == 0 {
			if died == nil {
				return 0, fmt.Errorf("client %d lives and has not returned from: %v", client, o)
			}
			o.outcome, o.ret = pending, died.end
		}
		if o.kind == leave {
			left = min(left, o.call)
		}
		h.ops = append(h.ops, o)
	}
	return left, nil
}
