package proc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// newPipe makes a pipe. At the end of the test the ends are closed that the test
// has left open.
func newPipe[T any](t testing.TB, o *shm.PipeOptions) (a, b *shm.Pipe[T]) {
	t.Helper()
	a, b, err := shm.NewPipe[T](o)
	require.NoError(t, err)
	atEnd(t, a)
	atEnd(t, b)
	return a, b
}

func newBytePipe(t testing.TB, o *shm.PipeOptions) (a, b *shm.BytePipe) {
	t.Helper()
	a, b, err := shm.NewBytePipe(o)
	require.NoError(t, err)
	atEnd(t, a)
	atEnd(t, b)
	return a, b
}

func atEnd(t testing.TB, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); !errors.Is(err, shm.ErrClosed) {
			require.NoError(t, err)
		}
	})
}

// exchangeInts sends and receives the numbers.
func exchangeInts(t testing.TB, p *shm.Pipe[int], numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		require.NoError(t, p.Send(t.Context(), n))
		v, err := p.Recv(t.Context())
		require.NoError(t, err)
		require.Equal(t, n*n, v)
	}
}

// answer answers each number with its square, until nobody sends any more.
var answer = proc.RegisterTask("answer", func(ctx context.Context, p *shm.Pipe[int]) error {
	for {
		v, err := p.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.Send(ctx, v*v); err != nil {
			return err
		}
	}
})

func TestPipeInArgument(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newPipe[int](t, nil)
	c := start(t, answer, b, nil)
	require.NoError(t, b.Close(), "perhaps before it has arrived")
	exchangeInts(t, a, 1, 2, 3)
	require.NoError(t, a.Close())
	require.NoError(t, c.Join(t.Context()))
}

// handOn hands its end on to a process of its own.
var handOn = proc.RegisterTask("hand on", func(ctx context.Context, p *shm.Pipe[int]) error {
	c, err := answer.Start(ctx, p, nil)
	if err != nil {
		return err
	}
	if err := p.Close(); err != nil {
		return err
	}
	return c.Join(ctx)
})

func TestPipeToGrandchild(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newPipe[int](t, nil)
	c := start(t, handOn, b, nil)
	require.NoError(t, b.Close())
	exchangeInts(t, a, 4, 5)
	require.NoError(t, a.Close())
	require.NoError(t, c.Join(t.Context()))
}

// The child is killed, and the grandchild that has the end with it.
func TestPipeToGrandchildIsKilled(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newPipe[int](t, nil)
	c := start(t, handOn, b, nil)
	require.NoError(t, b.Close())
	exchangeInts(t, a, 6)
	c.Kill()
	_, err := a.Recv(t.Context())
	require.Equal(t, io.EOF, err)
	require.ErrorIs(t, a.Send(t.Context(), 1), shm.ErrBroken)
	require.ErrorIs(t, a.Send(t.Context(), 1), shm.ErrBroken)
}

// count makes a pipe with numbers in it.
var count = proc.Register("count", func(ctx context.Context, n int) (*shm.Pipe[int], error) {
	a, b, err := shm.NewPipe[int](nil)
	if err != nil {
		return nil, err
	}
	for i := range n {
		if err := b.Send(ctx, i); err != nil {
			return nil, err
		}
	}
	return a, b.Close()
})

// The end comes from a child that has ended, with the messages that were left.
func TestPipeInResult(t *testing.T) {
	proctest.NoLeaks(t)
	p := result(t, count, 5)
	for i := range 5 {
		v, err := p.Recv(t.Context())
		require.NoError(t, err)
		require.Equal(t, i, v)
	}
	_, err := p.Recv(t.Context())
	require.Equal(t, io.EOF, err)
	require.NoError(t, p.Close())
}

// Nobody asks for the result, so nobody has the end.
func TestPipeInResultThatNobodyAsksFor(t *testing.T) {
	proctest.NoLeaks(t)
	c := start(t, count, 5, nil)
	require.NoError(t, c.Join(t.Context()))
	require.NoError(t, c.Close())
}

// returned gives back what it gets.
var returned = echo[*shm.Pipe[int]]("pipe")

// The end goes to a child and comes back, while the parent still has its own
// object for it.
func TestPipeThereAndBack(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newPipe[int](t, nil)
	require.NoError(t, a.Send(t.Context(), 1))
	back := result(t, returned, b)
	atEnd(t, back)
	require.NoError(t, b.Close())
	require.NoError(t, a.Send(t.Context(), 2))
	for want := 1; want <= 2; want++ {
		v, err := back.Recv(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, v)
	}
	require.NoError(t, back.Close())
	require.ErrorIs(t, a.Send(t.Context(), 3), shm.ErrBroken)
}

// The end does not arrive: the other one sees that as soon as the sender has
// closed its own.
func TestPipeThatDoesNotArrive(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, lose := range map[string]func(t *testing.T, b *shm.Pipe[int]){
		"the child is killed at once": func(t *testing.T, b *shm.Pipe[int]) { start(t, answer, b, nil).Kill() },
		"Start fails": func(t *testing.T, b *shm.Pipe[int]) {
			_, err := answer.Start(ended, b, nil)
			require.ErrorIs(t, err, context.Canceled)
		},
		"the argument fails": func(t *testing.T, b *shm.Pipe[int]) {
			closed, _ := newPipe[int](t, nil)
			require.NoError(t, closed.Close())
			_, err := takePipes.Start(t.Context(), []*shm.Pipe[int]{b, closed}, nil)
			require.ErrorIs(t, err, shm.ErrClosed)
		},
		"the child ends without looking": func(t *testing.T, b *shm.Pipe[int]) {
			require.Error(t, start(t, refuseArgument, refusal{b}, nil).Join(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			a, b := newPipe[int](t, nil)
			require.NoError(t, b.Send(t.Context(), 5))
			lose(t, b)
			require.NoError(t, b.Close())
			v, err := a.Recv(t.Context())
			require.NoError(t, err, "what was sent before")
			require.Equal(t, 5, v)
			_, err = a.Recv(t.Context())
			require.Equal(t, io.EOF, err)
			require.ErrorIs(t, a.Send(t.Context(), 1), shm.ErrBroken)
			require.ErrorIs(t, a.TrySend(1), shm.ErrBroken)
		})
	}
}

var takePipes = proc.RegisterTask("take pipes", func(context.Context, []*shm.Pipe[int]) error { return nil })

type refusal struct{ P *shm.Pipe[int] }

var refuseArgument = proc.RegisterTask("refuse argument", func(context.Context, refusal) error {
	os.Exit(3)
	return nil
})

// When Start has failed, the end is as good as before.
func TestPipeSentAgain(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := newPipe[int](t, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := answer.Start(ended, b, nil)
	require.ErrorIs(t, err, context.Canceled)
	c := start(t, answer, b, nil)
	exchangeInts(t, a, 7)

	// The child dies; the end may go to another one.
	c.Kill()
	_, err = a.Recv(t.Context())
	require.Equal(t, io.EOF, err)
	c = start(t, answer, b, nil)
	require.NoError(t, b.Close())
	for err != nil { // until it has arrived
		_, err = a.TryRecv()
		if errors.Is(err, shm.ErrEmpty) {
			break
		}
		require.Equal(t, io.EOF, err)
	}
	exchangeInts(t, a, 8, 9)
	require.NoError(t, a.Close())
	require.NoError(t, c.Join(t.Context()))
}

// lines writes lines to a stream.
var lines = proc.RegisterTask("lines", func(_ context.Context, w *shm.BytePipe) error {
	for i := range 10_000 {
		if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
			return err
		}
	}
	return nil // the end of the process closes it
})

func TestBytePipeBetweenProcesses(t *testing.T) {
	proctest.NoLeaks(t)
	r, w := newBytePipe(t, &shm.PipeOptions{OneWay: true, Bytes: 4096})
	c := start(t, lines, w, nil)
	require.NoError(t, w.Close())
	want := ""
	for i := range 10_000 {
		want += fmt.Sprintf("line %d\n", i)
	}
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.True(t, want == string(got), "%d bytes of %d", len(got), len(want))
	require.NoError(t, c.Join(t.Context()))
}
