package proc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/await"
)

// A Source is something that [Wait] can wait for: a [*Process] until it has
// ended, a [*Conn] until there is something to receive, a [*Listener] until
// there is somebody to accept, what [Readable] makes of a file or socket, the
// queues and pipes of package shm until there is something to get, and an Event
// of package sync until it is set. They are ready when a call would not wait, be
// it that it would fail.
type Source = await.Source

// Wait returns as soon as at least one of the sources is ready, with all that
// are, in their order: Python's connection.wait. It does not take anything from
// them; another goroutine or process may do so before the caller does. Of a
// long message only the beginning may have come. An event that was set and
// cleared again before Wait looked is not ready.
//
// If ctx ends first, Wait returns the context's error; a ctx that has ended
// before makes it look once. Without a source it waits for that. A connection or
// listener that is closed here meanwhile is ready, and so is a queue that
// anybody closes. So is the end of a pipe that was sent to another process. A source
// that is nil, or that Readable made of nil, is an error. The end of a pipe, a queue
// that is to be detached, the memory of an event, and what Readable was given must
// not be closed here while they are waited for.
func Wait(ctx context.Context, sources ...Source) ([]Source, error) {
	for i, s := range sources {
		what := any(s)
		if r, ok := s.(readable); ok {
			what = r.conn
		}
		if v := reflect.ValueOf(what); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, fmt.Errorf("proc: wait: source %d of %d is nil (%T)", i+1, len(sources), what)
		}
	}
	indexes, err := await.Any(ctx, sources)
	var ready []Source
	for _, i := range indexes {
		ready = append(ready, sources[i])
	}
	return ready, err
}

// Readable makes a source of a file or socket, as an [*os.File] or what package
// net has: it is ready when a read would not block. It must not be closed
// while it is waited for. What a buffer in front of it holds does not count.
func Readable(f syscall.Conn) Source { return readable{f} }

type readable struct{ conn syscall.Conn }

// Await is for [Wait].
func (r readable) Await(list *await.List) (ready bool) {
	ready = true // if it is closed, a read fails at once
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return true
	}
	_ = raw.Control(func(fd uintptr) {
		list.WatchDescriptor(await.Descriptor{FD: int(fd), Events: unix.POLLIN})
		ready = readableNow(int(fd))
	})
	return ready
}

func readableNow(fd int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return n != 0 || err != nil
		}
	}
}

// Await is for [Wait]: a process is ready when it has ended.
func (p *Process) Await(*await.List) bool { return !p.Alive() }

var _ Source = (*Process)(nil)
