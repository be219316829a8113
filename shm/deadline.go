package shm

import (
	"context"
	"os"
	"sync"
	"time"
)

// A deadline turns the deadline of an io.Reader or io.Writer into the context of
// what it does. The zero value is none.
type deadline struct {
	mu      sync.Mutex
	at      time.Time
	changed chan struct{} // closed by set; nil while nobody waits
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// past reports whether the deadline has come.
func (d *deadline) past() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.at.IsZero() && !time.Now().Before(d.at)
}

// do calls fn with a context that ends at the deadline, and once more whenever
// the deadline was changed meanwhile. A deadline that has come ends it before
// anything was done, as with a net.Conn. Then what is possible at once is done,
// without a context.
func (d *deadline) do(fn func(ctx context.Context) error) error {
	if d.past() {
		return os.ErrDeadlineExceeded
	}
	err := fn(atOnce)
	for err == ErrFull || err == ErrEmpty {
		d.mu.Lock()
		at := d.at
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		changed := d.changed
		d.mu.Unlock()

		if err = until(at, changed, fn); err == context.Canceled {
			err = ErrEmpty // the deadline was changed
		}
	}
	return err
}

// until calls fn with a context that ends at a moment, if it is not zero, and is
// cancelled by a change.
func until(at time.Time, changed <-chan struct{}, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	over := ctx.Done() // ctx itself is another below
	go func() {
		select {
		case <-changed:
			cancel()
		case <-over:
		}
	}()
	if !at.IsZero() {
		limited, stop := context.WithDeadline(ctx, at)
		defer stop()
		ctx = limited
	}
	err := fn(ctx)
	if err == context.DeadlineExceeded {
		return os.ErrDeadlineExceeded
	}
	return err
}
