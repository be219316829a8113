package shm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// chain is recursive.
type chain struct {
	Link int
	Next *chain
}

type padded struct {
	A byte
	B int64
	C [3]byte
}

// kinds are checks of one kind of message each.
var kinds = map[string]func(*testing.T){
	"bool":             everyWay(true, false, true),
	"int":              everyWay(1, -2, 3, 4, 5, 6, 7),
	"3 bytes":          everyWay([3]byte{1, 2, 3}, [3]byte{}, [3]byte{7, 8, 9}),
	"24 bytes":         everyWay([3]int64{1, 2, 3}, [3]int64{}, [3]int64{7, 8, 9}),
	"padded struct":    everyWay(padded{1, 2, [3]byte{3}}, padded{}, padded{B: -1}),
	"complex":          everyWay(1i, 2+3i),
	"4000 bytes":       everyWay([4000]byte{3999: 1}, [4000]byte{1}),
	"nothing":          everyWay(struct{}{}, struct{}{}, struct{}{}),
	"string":           everyWay("", "a", "1234567", "12345678", "123456789", "\x00\xff not UTF-8"),
	"bytes":            everyWay([]byte{}, []byte("a"), []byte("12345678")),
	"strings":          everyWay([]string{"a", ""}, nil, []string{}),
	"map":              everyWay(map[string]int{"a": 1}, nil, map[string]int{}),
	"pointer":          everyWay(new(5), nil, new(-5)),
	"structs":          everyWay([]padded{{A: 1}, {B: 2}}, nil),
	"struct with text": everyWay(struct{ S []string }{}, struct{ S []string }{[]string{"x"}}),
	"recursive":        everyWay(chain{1, &chain{2, nil}}, chain{}),
	"time":             everyWay(time.Unix(1, 5).UTC()),
}

// everyWay returns a test that sends the messages with every method, both ways.
func everyWay[T any](messages ...T) func(*testing.T) {
	return func(t *testing.T) {
		a, b := testPipe[T](t, &PipeOptions{Capacity: 5})
		for range 4 {
			for _, v := range messages {
				require.NoError(t, a.Send(t.Context(), v))
				got, err := b.Recv(t.Context())
				require.NoError(t, err)
				require.Equal(t, v, got)
				require.NoError(t, b.TrySend(got))
				got, err = a.TryRecv()
				require.NoError(t, err)
				require.Equal(t, v, got)
			}
			sent := background(func() error { _, err := b.SendAll(t.Context(), messages); return err })
			var all []T
			for len(all) < len(messages) {
				part := make([]T, 3)
				n, err := a.RecvUpTo(t.Context(), part)
				require.NoError(t, err)
				require.Positive(t, n)
				all = append(all, part[:n]...)
			}
			require.Equal(t, messages, all)
			require.NoError(t, outcome(t, sent))
		}
		_, err := a.TryRecv()
		require.Equal(t, ErrEmpty, err)
		_, err = b.TryRecv()
		require.Equal(t, ErrEmpty, err)
	}
}

func TestPipeCarriesAnything(t *testing.T) {
	proctest.NoLeaks(t)
	for name, test := range kinds {
		t.Run(name, test)
	}
}

func TestPipeNilBytes(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[[]byte](t, nil)
	require.NoError(t, a.Send(t.Context(), nil))
	got, err := b.Recv(t.Context())
	require.NoError(t, err)
	require.Equal(t, []byte{}, got)
}
