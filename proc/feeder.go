package proc

import (
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A feeder reads the input.
type feeder[A, R any] struct {
	call  *call[A, R]
	block int
	args  []byte
	items int
	size  int // of each record; 0: they differ
	ended chan struct{}

	mu     sync.Mutex
	broken *inputPanic
}

// An inputPanic is what the caller panics with if its input did, in another
// goroutine. It unwraps to the panic's value if that is an error.
type inputPanic struct {
	value  any
	stack  []byte
	goexit bool // it has called runtime.Goexit instead
}

// Error has the stack, too, which the caller's would not show.
func (p *inputPanic) Error() string {
	return fmt.Sprintf("proc: the input has panicked: %v\n\n%s", p.value, p.stack)
}

// Unwrap returns the panic's value if it is an error.
func (p *inputPanic) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// check ends the caller's goroutine as the input has ended its own.
func (f *feeder[A, R]) check() {
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	switch {
	case broken == nil:
	case broken.goexit:
		runtime.Goexit()
	default:
		panic(broken)
	}
}

// feed runs in a goroutine of its own.
func (f *feeder[A, R]) feed(in iter.Seq[A]) {
	j := f.call.job
	finished := false
	defer close(f.ended)
	defer func() {
		if finished {
			return
		}
		v := recover()
		f.mu.Lock()
		f.broken = &inputPanic{value: v, stack: debug.Stack(), goexit: v == nil}
		f.mu.Unlock()
		j.stop(errEnough)
	}()
	var buf []byte
	wanted := true
	in(func(arg A) bool {
		e, err := f.call.encode(arg, buf[:0])
		if err != nil {
			f.flush()
			wanted = j.feed(span{items: 1}, nil, err)
			return wanted
		}
		if e.large() {
			buf = nil // it may be what lies there
			f.flush()
			wanted = j.feedOne(e)
			return wanted
		}
		if e.message == nil {
			buf = e.data
		}
		before := len(f.args)
		f.args = chunk.Append(f.args, chunk.Value, e.data)
		if f.items == 0 {
			f.size = len(f.args)
		} else if f.size != len(f.args)-before {
			f.size = 0
		}
		if f.items++; f.items >= f.block {
			wanted = f.flush()
		}
		return wanted
	})
	if wanted && f.flush() {
		j.fed()
	}
	finished = true
}

// flush feeds what has been gathered.
func (f *feeder[A, R]) flush() bool {
	if f.items == 0 {
		return true
	}
	s := span{items: f.items, size: f.size, args: f.args}
	f.args, f.items = make([]byte, 0, len(s.args)), 0
	return f.call.job.feed(s, nil, nil)
}

// large reports whether a worker has to ask for an argument, because it is too
// large to lie in a slot, or holds descriptors.
func (e encoded) large() bool { return e.files() || len(e.data) > chunk.Room/4 }

// feedOne feeds a single input.
func (j *job) feedOne(e encoded) bool {
	if !e.large() {
		return j.feed(span{items: 1, args: chunk.Append(nil, chunk.Value, e.data)}, nil, nil)
	}
	m := e.message
	if m == nil {
		m = &wire.Message{Data: e.data}
	}
	return j.feed(span{items: 1, args: chunk.Append(nil, chunk.Elsewhere, nil)}, &parcel{message: m}, nil)
}
