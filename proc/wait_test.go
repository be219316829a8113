package proc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// A numbered message names the process that sent it.
type numbered struct{ N, Pid int }

// counter sends ten numbers, each when it is told to if it has a pace.
var counter = proc.RegisterTask("counter", func(ctx context.Context, in struct{ To, Pace *proc.Conn }) error {
	for n := range 10 {
		if in.Pace != nil {
			var token struct{}
			if err := in.Pace.Recv(ctx, &token); err != nil {
				return err
			}
		}
		if err := in.To.Send(ctx, numbered{n, os.Getpid()}); err != nil {
			return err
		}
	}
	return in.To.Close()
})

// Python: TestWait.test_wait
// Python: TestWait.test_wait_slow — differs: the senders wait to be asked for each message, they do not sleep
func TestWaitForConns(t *testing.T) {
	proctest.NoLeaks(t)
	for _, slow := range []bool{false, true} {
		var readers []proc.Source
		var want, got []numbered
		paces := make(map[proc.Source]*proc.Conn)
		for range 4 {
			r, w := pairOf(t)
			in := struct{ To, Pace *proc.Conn }{To: w}
			var pace *proc.Conn
			if slow {
				pace, in.Pace = pairOf(t)
			}
			p := start(t, counter, in, nil)
			require.NoError(t, w.Close())
			if slow {
				require.NoError(t, in.Pace.Close())
				require.NoError(t, pace.Send(t.Context(), struct{}{}))
			}
			readers = append(readers, r)
			paces[r] = pace
			for n := range 10 {
				want = append(want, numbered{n, p.Pid()})
			}
		}
		for len(readers) > 0 {
			ready, err := proc.Wait(t.Context(), readers...)
			require.NoError(t, err)
			require.NotEmpty(t, ready)
			for _, r := range ready {
				var m numbered
				err := r.(*proc.Conn).Recv(t.Context(), &m)
				if err == io.EOF {
					readers = slices.DeleteFunc(readers, func(s proc.Source) bool { return s == r })
					continue
				}
				require.NoError(t, err)
				got = append(got, m)
				if slow && m.N < 9 {
					require.NoError(t, paces[r].Send(t.Context(), struct{}{}))
				}
			}
		}
		require.ElementsMatch(t, want, got)
	}
}

// talker sends ten lines through a socket of package net; if it is slow, each
// when it is told to.
var talker = proc.RegisterTask("talker", func(_ context.Context, in struct {
	Address string
	Slow    bool
}) error {
	s, err := net.Dial("tcp", in.Address)
	if err != nil {
		return err
	}
	for n := range 10 {
		if in.Slow {
			if _, err := s.Read(make([]byte, 1)); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(s, strconv.Itoa(n)+"\n"); err != nil {
			return err
		}
	}
	return s.Close()
})

// Python: TestWait.test_wait_socket
// Python: TestWait.test_wait_socket_slow — differs: the senders wait to be asked for each line, they do not sleep
func TestWaitForSockets(t *testing.T) {
	proctest.NoLeaks(t)
	for _, slow := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		sockets := make(map[proc.Source]net.Conn)
		said := make(map[proc.Source]*bytes.Buffer)
		var readers []proc.Source
		for range 4 {
			start(t, talker, struct {
				Address string
				Slow    bool
			}{l.Addr().String(), slow}, nil)
			s, err := l.Accept()
			require.NoError(t, err)
			require.NoError(t, s.SetDeadline(time.Now().Add(patience)))
			r := proc.Readable(s.(*net.TCPConn))
			readers = append(readers, r)
			sockets[r], said[r] = s, new(bytes.Buffer)
			if slow {
				_, err := s.Write([]byte{0})
				require.NoError(t, err)
			}
		}
		require.NoError(t, l.Close())
		for len(readers) > 0 {
			ready, err := proc.Wait(t.Context(), readers...)
			require.NoError(t, err)
			require.NotEmpty(t, ready)
			for _, r := range ready {
				b := make([]byte, 32)
				n, err := sockets[r].Read(b)
				if err == io.EOF {
					readers = slices.DeleteFunc(readers, func(s proc.Source) bool { return s == r })
					require.NoError(t, sockets[r].Close())
					continue
				}
				require.NoError(t, err)
				said[r].Write(b[:n])
				if slow && said[r].Len() < 20 {
					_, err := sockets[r].Write([]byte{0})
					require.NoError(t, err)
				}
			}
		}
		for _, text := range said {
			require.Equal(t, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", text.String())
		}
	}
}

// Python: TestWait.test_wait_timeout — differs: the limit is the context's, and its end an error
func TestWaitUntilDeadline(t *testing.T) {
	a, b := pairOf(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	ready, err := proc.Wait(ctx, a, b)
	require.Equal(t, context.DeadlineExceeded, err)
	require.Empty(t, ready)
	require.Error(t, ctx.Err())

	require.NoError(t, b.Send(t.Context(), struct{}{}))
	ready, err = proc.Wait(t.Context(), a, b)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{a}, ready)
}

// sleeper ends when its connection does.
var sleeper = proc.RegisterTask("sleeper", func(ctx context.Context, c *proc.Conn) error {
	var v int
	if err := c.Recv(ctx, &v); err != io.EOF {
		return errors.Join(err, errors.New("there should be nothing"))
	}
	return nil
})

// Python: TestWait.test_wait_integer — differs: a process itself is waited for, its sentinel is no descriptor here
func TestWaitForProcess(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := pairOf(t)
	lifeline, theirs := pairOf(t)
	p := start(t, sleeper, theirs, nil)
	require.NoError(t, theirs.Close())
	_, err := proc.Wait(ended(), a, p, b)
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, lifeline.Close())
	ready, err := proc.Wait(t.Context(), a, p, b)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{p}, ready)
	require.False(t, p.Alive())

	require.NoError(t, a.Send(t.Context(), struct{}{}))
	ready, err = proc.Wait(t.Context(), a, p, b)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{p, b}, ready)

	require.NoError(t, b.Send(t.Context(), struct{}{}))
	ready, err = proc.Wait(t.Context(), a, p, b)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{a, p, b}, ready)
}

// Python: TestWait.test_neg_timeout — differs: a context that has ended means one look
func TestWaitOnce(t *testing.T) {
	a, b := pairOf(t)
	ready, err := proc.Wait(ended(), a)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, ready)
	require.NoError(t, b.Send(t.Context(), 1))
	ready, err = proc.Wait(ended(), b, a)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{a}, ready)
	_, err = proc.Wait(ended())
	require.Equal(t, context.Canceled, err)
}

// Killed processes, and only those, wake who waits for all.
func TestWaitForProcesses(t *testing.T) {
	proctest.NoLeaks(t)
	var all []proc.Source
	for range 5 {
		all = append(all, start(t, idle, struct{}{}, nil).Process)
	}
	for len(all) > 0 {
		victim := all[len(all)/2]
		victim.(*proc.Process).Kill()
		ready, err := proc.Wait(t.Context(), all...)
		require.NoError(t, err)
		require.Equal(t, []proc.Source{victim}, ready)
		all = slices.DeleteFunc(all, func(s proc.Source) bool { return s == victim })
	}
}

// A looked is a source that is never ready, and tells that it was looked at.
type looked chan struct{}

func (l looked) Await(*await.List) bool {
	select {
	case l <- struct{}{}:
	default:
	}
	return false
}

// waitFor waits for the sources, and makes the change once all were looked at.
func waitFor(t *testing.T, change func() error, sources ...proc.Source) []proc.Source {
	t.Helper()
	type result struct {
		ready []proc.Source
		err   error
	}
	seen, done := make(looked, 1), make(chan result, 1)
	go func() {
		ready, err := proc.Wait(t.Context(), append(sources, seen)...)
		done <- result{ready, err}
	}()
	<-seen
	require.NoError(t, change())
	r := <-done
	require.NoError(t, r.err)
	return r.ready
}

// An end that comes, a listener with a caller or closed, a pipe of the system,
// a process.
func TestWaitForOthers(t *testing.T) {
	proctest.NoLeaks(t)
	for range 20 {
		l, _ := listen(t, "", nil)
		a, b := pairOf(t)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		pipe := proc.Readable(r)
		p := start(t, idle, struct{}{}, nil).Process

		var caller *proc.Conn
		require.Equal(t, []proc.Source{l}, waitFor(t, func() (err error) {
			caller, err = proc.Dial(t.Context(), l.Address(), nil)
			return err
		}, a, l, pipe, p))
		accept(t, l)
		require.NoError(t, caller.Close())

		require.Equal(t, []proc.Source{pipe}, waitFor(t, func() error {
			_, err := w.WriteString("x")
			return err
		}, a, l, pipe, p))
		_, err = r.Read(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, []proc.Source{pipe}, waitFor(t, w.Close, a, l, pipe, p))
		require.Equal(t, []proc.Source{a}, waitFor(t, b.Close, a, l, p))
		other, _ := pairOf(t)
		require.Equal(t, []proc.Source{other}, waitFor(t, other.Close, other, l, p), "closed here")
		require.Equal(t, []proc.Source{l}, waitFor(t, l.Close, l, p))
		require.Equal(t, []proc.Source{p}, waitFor(t, func() error { p.Kill(); return nil }, p))
		require.NoError(t, r.Close())
	}
}

// What is not readable says so at once.
func TestReadableClosed(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, errors.Join(r.Close(), w.Close()))
	s := proc.Readable(r)
	ready, err := proc.Wait(ended(), s)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{s}, ready)
	_, err = r.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrClosed)
}

// feeder puts something into what it is told to.
var feeder = proc.RegisterTask("feeder", func(ctx context.Context, in struct {
	Queue *shm.Queue[int]
	Pipe  *shm.Pipe[int]
	Conn  *proc.Conn
}) error {
	for {
		var to string
		if err := in.Conn.Recv(ctx, &to); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var err error
		switch to {
		case "queue":
			err = in.Queue.Put(ctx, 1)
		case "pipe":
			err = in.Pipe.Send(ctx, 2)
		case "conn":
			err = in.Conn.Send(ctx, 3)
		}
		if err != nil {
			return err
		}
	}
})

// Things in shared memory, descriptors and processes, waited for at once.
func TestWaitForAllKinds(t *testing.T) {
	proctest.NoLeaks(t)
	queue, err := shm.NewQueue[int](4, nil)
	require.NoError(t, err)
	pipe, theirPipe, err := shm.NewPipe[int](nil)
	require.NoError(t, err)
	conn, theirConn := pairOf(t)
	p := start(t, feeder, struct {
		Queue *shm.Queue[int]
		Pipe  *shm.Pipe[int]
		Conn  *proc.Conn
	}{queue, theirPipe, theirConn}, nil)
	require.NoError(t, theirConn.Close())
	require.NoError(t, theirPipe.Close())
	for range 20 {
		for to, source := range map[string]proc.Source{"queue": queue, "pipe": pipe, "conn": conn} {
			require.NoError(t, conn.Send(t.Context(), to))
			ready, err := proc.Wait(t.Context(), queue, pipe, conn, p)
			require.NoError(t, err)
			require.Equal(t, []proc.Source{source}, ready)
			v, err := 0, error(nil)
			switch to {
			case "queue":
				v, err = queue.Get(t.Context())
			case "pipe":
				v, err = pipe.Recv(t.Context())
			case "conn":
				err = conn.Recv(t.Context(), &v)
			}
			require.NoError(t, err)
			require.Equal(t, map[string]int{"queue": 1, "pipe": 2, "conn": 3}[to], v)
		}
	}
	p.Kill()
	for want := []proc.Source{pipe, conn, p}; len(want) > 0; { // the end of each, in whatever order
		ready, err := proc.Wait(t.Context(), append([]proc.Source{queue}, want...)...)
		require.NoError(t, err)
		require.NotContains(t, ready, proc.Source(queue))
		want = slices.DeleteFunc(want, func(s proc.Source) bool { return slices.Contains(ready, s) })
	}
	require.NoError(t, queue.Detach())
	require.NoError(t, pipe.Close())
}

// Bells are two events in shared memory.
type bells struct{ Order, Answer psync.Event }

// ringer answers each order.
var ringer = proc.RegisterTask("ringer", func(ctx context.Context, s *shm.Segment) error {
	b, err := shm.Place[bells](s, 0)
	if err != nil {
		return err
	}
	for b.Order.Wait(ctx) {
		b.Order.Clear()
		b.Answer.Set()
	}
	return ctx.Err()
})

// An event and a process are waited for together: for an answer, or for the death of
// the one that was to give it.
func TestWaitForEvent(t *testing.T) {
	proctest.NoLeaks(t)
	s, err := shm.Create("bells", 64)
	require.NoError(t, err)
	b, err := shm.Place[bells](s, 0)
	require.NoError(t, err)
	p := start(t, ringer, s, nil)
	_, err = proc.Wait(ended(), &b.Answer, p)
	require.ErrorIs(t, err, context.Canceled)
	for range 100 {
		b.Order.Set()
		ready, err := proc.Wait(t.Context(), &b.Answer, p)
		require.NoError(t, err)
		require.Equal(t, []proc.Source{&b.Answer}, ready)
		b.Answer.Clear()
	}
	b.Answer.Set()
	b.Answer.Clear()
	_, err = proc.Wait(ended(), &b.Answer, p)
	require.ErrorIs(t, err, context.Canceled, "it is clear again")
	p.Kill()
	ready, err := proc.Wait(t.Context(), &b.Answer, p)
	require.NoError(t, err)
	require.Equal(t, []proc.Source{p}, ready)
	require.NoError(t, s.Close())
}

var _ proc.Source = (*psync.Event)(nil)
