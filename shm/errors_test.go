package shm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// All errors have one form: kind, name, operation, cause. The name is that of
// the object also after it has travelled, and after it was closed.
func TestErrorsNameTheObject(t *testing.T) {
	proctest.NoLeaks(t)
	array := roundTrip(t, testArray[int32](t, &Options{Name: "board"}, 1, 2))
	value := roundTrip(t, testValue(t, 1.5, &Options{Name: "two\nlines"}))
	queue := roundTrip(t, testQueue[int](t, 1, &QueueOptions{Name: "jobs"}))
	unnamed := roundTrip(t, testQueue[[]string](t, 1, nil))
	end, _ := testPipe[int](t, &PipeOptions{Name: "street"})
	end = roundTrip(t, end)
	made, err := Create("memory (deleted)", 1)
	require.NoError(t, err)
	segment, err := Attach(made.File())
	require.NoError(t, err)
	require.Equal(t, "memory (deleted)", segment.Name())

	require.EqualError(t, array.Assign(nil, 1, 2), `shm: array "board": assign: wrong size: 0 values for 1 elements`)
	require.NoError(t, queue.Close())
	for _, object := range []interface{ Close() error }{made, segment, array, value, end} {
		require.NoError(t, object.Close())
	}
	for want, err := range map[string]error{
		`shm: segment "memory (deleted)": close: closed`: segment.Close(),
		`shm: array "board": close: closed`:              array.Close(),
		`shm: array "board": lock: closed`:               array.LockContext(t.Context()),
		`shm: array "board": use: closed`:                panicOf(t, func() { array.At(0) }),
		`shm: value "two\nlines": use: closed`:           panicOf(t, func() { value.Get() }),
		`shm: queue "jobs": put: closed`:                 queue.Put(t.Context(), 1),
		`shm: queue "jobs": get: closed`:                 errOf(queue.TryGet()),
		`shm: queue "[]string": detach: detached`:        func() error { _ = unnamed.Detach(); return unnamed.Detach() }(),
		`shm: pipe "street": send: closed`:               end.Send(t.Context(), 1),
		`shm: pipe "street": receive: closed`:            errOf(end.TryRecv()),
	} {
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, ErrClosed)
	}
	require.NoError(t, queue.Detach())

	q := testQueue[int](t, 1, &QueueOptions{Name: "jobs (deleted)"})
	p := hand(t, queuePuppet, q) // a process that has not made it
	require.NoError(t, q.Close())
	tellPuppet(t, p, "put 2", saysClosed("jobs (deleted)", "put"))
}
