package fifo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
)

// An into is where items are put: a queue, or the sending end of a pipe.
type into[T any] struct {
	put   func(context.Context, T) error
	try   func(T) error
	all   func(context.Context, []T) (int, error)
	shut  func() error // for all
	leave func() error // nothing more is put from here
}

// An outOf is where they are got.
type outOf[T any] struct {
	get  func(context.Context) (T, error)
	try  func() (T, error)
	upTo func(context.Context, []T) (int, error)
}

// A form is what an item travels as.
type form[T any] struct {
	to   func(item) T
	from func(T) (item, error)
}

// Slots are items as they are, records are strings of many lengths.
var (
	slots   = form[item]{func(i item) item { return i }, func(i item) (item, error) { return i, nil }}
	records = form[string]{recordOf, itemIn}
)

func recordOf(i item) string {
	return strconv.FormatUint(uint64(i), 16) + strings.Repeat(".", int(i*7919%64))
}

func itemIn(record string) (item, error) {
	n, err := strconv.ParseUint(strings.TrimRight(record, "."), 16, 64)
	if err == nil && record != recordOf(item(n)) {
		err = fmt.Errorf("%q is not what was put", record)
	}
	return item(n), err
}

// A role is what a client is to do.
type role struct {
	Client int
	Quota  int  // of items to put; who gets does so to the end
	Tries  int  // percent of operations that do not wait, or not for long
	Batch  int  // most items at a time
	Closes bool // it closes for all, when it has put half
	Log    int  // its length
}

// A client is one goroutine at one side.
type client[T any] struct {
	form[T]
	role
	log    logbook
	random *rand.Rand
}

// context returns one for an operation: it ends soon if it is a try.
func (c *client[T]) context(try bool) (context.Context, context.CancelFunc) {
	if !try {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), time.Duration(c.random.IntN(300))*time.Microsecond)
}

func (c *client[T]) chance(percent int) bool { return c.random.IntN(100) < percent }

// puts puts items until the quota is used up, or it is closed.
func (c *client[T]) puts(to into[T]) error {
	next, result := 1, ok
	for next <= c.Quota && result != closed {
		if c.Closes && next > c.Quota/2 {
			c.log.begin(shut, 1)
			err := to.shut()
			c.log.end(1, []item{0}, ok)
			if err != nil {
				return err
			}
			c.Closes = false
		}
		n, how := 1, c.random.IntN(3)
		if how == 2 {
			n = min(1+c.random.IntN(c.Batch), c.Quota+1-next)
		}
		items, values := make([]item, n), make([]T, n)
		for i := range n {
			items[i] = itemOf(c.Client, next+i)
			values[i] = c.to(items[i])
		}
		try := c.chance(c.Tries)
		ctx, cancel := c.context(try)
		c.log.begin(put, n, items...)
		var err error
		done := n
		switch {
		case how == 2:
			done, err = to.all(ctx, values)
		case how == 1 && try:
			err = to.try(values[0])
		default:
			err = to.put(ctx, values[0])
		}
		if err != nil && how != 2 {
			done = 0
		}
		result = outcomeOf(err)
		c.log.end(n, items[:done], result)
		cancel()
		if result == pending {
			return err
		}
		next += done
	}
	c.log.begin(leave, 1)
	err := to.leave()
	c.log.end(1, []item{0}, ok)
	return err
}

// gets gets items until nothing more will come.
func (c *client[T]) gets(from outOf[T]) error {
	result := ok
	for result != closed {
		n, how := 1, c.random.IntN(3)
		if how == 2 {
			n = 1 + c.random.IntN(c.Batch)
		}
		values := make([]T, n)
		try := c.chance(c.Tries) && len(c.log) > c.Log/2
		ctx, cancel := c.context(try)
		c.log.begin(get, n)
		var err error
		done := 1
		switch {
		case how == 2:
			done, err = from.upTo(ctx, values)
		case how == 1 && try:
			values[0], err = from.try()
		default:
			values[0], err = from.get(ctx)
		}
		if err != nil {
			done = 0
		}
		items := make([]item, done)
		for i := range items {
			var bad error
			if items[i], bad = c.from(values[i]); bad != nil {
				return bad
			}
		}
		result = outcomeOf(err)
		c.log.end(n, items, result)
		cancel()
		if result == pending {
			return err
		}
	}
	return nil
}

// outcomeOf returns pending for what should not happen.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return ok
	case errors.Is(err, shm.ErrFull), errors.Is(err, shm.ErrEmpty):
		return no
	case errors.Is(err, shm.ErrClosed), errors.Is(err, io.EOF), errors.Is(err, shm.ErrBroken):
		return closed
	case errors.Is(err, context.DeadlineExceeded):
		return cancelled
	}
	return pending
}

// A task is what a process is given: some clients' roles, and where they put and
// get.
type task[T any] struct {
	Queue *shm.Queue[T]
	Pipe  *shm.Pipe[T]
	Log   *shm.Array[entry]
	Seed  uint64
	Puts  []role
	Gets  []role
}

// run does it.
func (k *task[T]) run(h *proctest.Helper, f form[T]) error {
	var to into[T]
	var from outOf[T]
	if q := k.Queue; q != nil {
		to = into[T]{q.Put, q.TryPut, q.PutAll, q.Close, func() error { q.Deregister(); return nil }}
		from = outOf[T]{q.Get, q.TryGet, q.GetUpTo}
		for range k.Puts {
			if err := q.Register(context.Background()); errors.Is(err, shm.ErrClosed) {
				h.Ready()
				return nil // it came too late
			} else if err != nil {
				return err
			}
		}
	} else {
		p := k.Pipe
		to = into[T]{p.Send, p.TrySend, p.SendAll, p.Close, p.Close}
		from = outOf[T]{p.Recv, p.TryRecv, p.RecvUpTo}
	}
	h.Ready()
	var group sync.WaitGroup
	errs := make([]error, len(k.Puts)+len(k.Gets))
	for i, r := range slices.Concat(k.Puts, k.Gets) {
		c := &client[T]{f, r, logOf(k.Log, r.Client, r.Log), rand.New(rand.NewPCG(k.Seed, uint64(r.Client)))}
		group.Go(func() {
			if i < len(k.Puts) {
				errs[i] = c.puts(to)
			} else {
				errs[i] = c.gets(from)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
