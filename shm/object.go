package shm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"

	"github.com/go-multiproc/multiproc/internal/plain"
	psync "github.com/go-multiproc/multiproc/sync"
)

// Options tune the constructors of arrays and values. Nil means the defaults.
type Options struct {
	// Name is for people: it shows in /proc/PID/maps.
	//
	// The default is the element's type.
	Name string

	// Lock guards the object instead of a lock of its own. It must be a
	// *psync.Mutex or *psync.RMutex that lies in shared memory, as another
	// array's Locker or one placed in a Segment does. With a Mutex, which is
	// not recursive, methods that lock must not be called under the lock.
	//
	// The default is a recursive lock of its own.
	Lock psync.Locker

	// NoLock makes an object without a lock: its methods do not exclude each
	// other, and those that take the lock panic.
	//
	// The default is false.
	NoLock bool
}

// An object is what an Array and a Value have in common: elements in a segment,
// and a lock that guards them.
type object[T any] struct {
	kind    string   // "array" or "value"
	name    string   // stays after Close, for errors
	mapping *mapping // nil after Close
	index   int      // in the segment's directory
	view    []T      // nil after Close

	lock   psync.Locker  // nil without one, and after Close
	own    *psync.RMutex // lock, if it is the object's own
	lockIn *mapping      // the segment of a lock elsewhere

	primitive string // path of a lock inside T: then elements cannot be copied
	cleanup   runtime.Cleanup
}

// make creates a segment with one object of n elements.
func (o *object[T]) make(kind uint32, n int, opts *Options) (err error) {
	if opts == nil {
		opts = &Options{}
	}
	t := reflect.TypeFor[T]()
	o.kind, o.name = kindNames[kind], nameOr(opts.Name, t)
	defer func() { err = o.fail("create", err) }()
	element, err := elementSize[T]()
	if err != nil {
		return err
	}
	if n < 0 || n > (math.MaxInt-headerSize-ownLockSize)/element {
		return fmt.Errorf("%w: %d elements of %d bytes", ErrSize, n, element)
	}
	e := entry{
		Kind: kind, Code: uint32(codeOf(t)), Offset: headerSize, Length: uint64(n),
		Element: uint64(element), Fingerprint: plain.Fingerprint(t),
	}
	switch {
	case opts.Lock != nil && opts.NoLock:
		return fmt.Errorf("%w: both Lock and NoLock were asked for", ErrLock)
	case opts.Lock != nil:
		e.Lock = lockElsewhere
		if o.lockIn, err = retainSegmentOf(opts.Lock); err != nil {
			return err
		}
		o.lock = opts.Lock
	case !opts.NoLock:
		e.Lock, e.LockOffset, e.Offset = lockOwn, headerSize, headerSize+ownLockSize
	}
	m, err := create(o.name, int(e.Offset)-headerSize+n*element, e)
	if err != nil {
		if o.lockIn != nil {
			_ = o.lockIn.release() // not the last use: the caller has it
		}
		return err
	}
	o.open(m, 0, e)
	return nil
}

// open makes o the object that e describes in m.
func (o *object[T]) open(m *mapping, index int, e entry) {
	o.kind, o.name, o.mapping, o.index = kindNames[e.Kind], m.file.Name(), m, index
	o.view = viewOf[T](m.data[e.Offset:], int(e.Length))
	if e.Lock == lockOwn {
		o.own = &viewOf[psync.RMutex](m.data[e.LockOffset:], 1)[0]
		o.lock = o.own
	}
	o.primitive = plain.Primitive(reflect.TypeFor[T]())
}

// Close gives the object up in this process. Views and pointers into it must
// not be used any more: they may fault. Methods fail or panic with ErrClosed.
// Closing twice is ErrClosed. Close must not run while another goroutine uses
// the object.
func (o *object[T]) Close() error {
	if o.mapping == nil {
		return o.fail("close", errClosed)
	}
	o.cleanup.Stop()
	m, lockIn := o.mapping, o.lockIn
	o.mapping, o.view, o.lock, o.own, o.lockIn = nil, nil, nil, nil, nil
	err := m.release()
	if lockIn != nil {
		if lockErr := lockIn.release(); err == nil {
			err = lockErr
		}
	}
	return o.fail("close", err)
}

// fail names the object in an error. One that did not arrive is neither array
// nor value.
func (o *object[T]) fail(op string, err error) error {
	return failed(cmp.Or(o.kind, "object"), o.name, op, err)
}

// Locker returns the lock that guards the object, nil if it has none.
func (o *object[T]) Locker() psync.Locker { return o.lock }

// Lock takes the object's lock; see [psync.RMutex.Lock]. It panics if the
// object has none.
func (o *object[T]) Lock() { o.needLock().Lock() }

// Unlock releases the object's lock.
func (o *object[T]) Unlock() { o.needLock().Unlock() }

// TryLock takes the object's lock if that is possible at once.
func (o *object[T]) TryLock() bool { return o.needLock().TryLock() }

// LockContext takes the object's lock unless ctx ends first. An error that
// matches [psync.ErrOwnerDied] comes with the lock held: repair the data and
// call MarkConsistent.
func (o *object[T]) LockContext(ctx context.Context) error {
	if o.mapping == nil {
		return o.fail("lock", errClosed)
	}
	return o.needLock().LockContext(ctx)
}

// MarkConsistent says that the data was repaired after a holder of the lock
// died.
func (o *object[T]) MarkConsistent() { o.needLock().MarkConsistent() }

func (o *object[T]) needLock() psync.Locker {
	if o.lock == nil {
		o.needOpen()
		panic(o.fail("lock", ErrNoLock))
	}
	return o.lock
}

func (o *object[T]) needOpen() {
	if o.mapping == nil {
		panic(o.fail("use", errClosed))
	}
}

// needCopies panics if elements cannot be read or written by value.
func (o *object[T]) needCopies() {
	if o.primitive != "" {
		panic(o.fail("copy", o.errCopies()))
	}
}

func (o *object[T]) errCopies() error {
	return fmt.Errorf("%w by value: %s is a lock, and a copy of a lock locks nothing; use a pointer", ErrType, o.primitive)
}

// enter and exit take the lock, if there is one, for one access.
func (o *object[T]) enter() {
	if o.own != nil {
		o.own.Lock()
	} else if o.lock != nil {
		o.lock.Lock()
	}
}

func (o *object[T]) exit() {
	if o.own != nil {
		o.own.Unlock()
	} else if o.lock != nil {
		o.lock.Unlock()
	}
}

// retainSegmentOf finds the segment in which a lock lies.
func retainSegmentOf(lock psync.Locker) (*mapping, error) {
	mappings.mu.Lock()
	defer mappings.mu.Unlock()
	for _, m := range mappings.byKey {
		if _, ok := m.offsetIn(lock); ok {
			m.refs++
			return m, nil
		}
	}
	return nil, fmt.Errorf("%w: the given %T lies in no segment of this process", ErrLock, lock)
}

// lockConsistent takes the lock, or fails without it.
func (o *object[T]) lockConsistent(ctx context.Context) error {
	err := o.LockContext(ctx)
	if errors.Is(err, psync.ErrOwnerDied) {
		o.Unlock() // the mark stays for who can repair
	}
	return err
}
