package shm

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoFalseRaceOfMessages hands heap data over by a message between two
// goroutines. Under -race it fails if commits do not announce themselves: the
// detector does not see shared memory.
func TestNoFalseRaceOfMessages(t *testing.T) {
	q := testQueue[int](t, 4, nil)
	a, b := testPipe[int](t, nil)
	for name, way := range map[string]struct {
		send func() error
		recv func() error
	}{
		"queue": {func() error { return q.Put(t.Context(), 1) }, func() error { _, err := q.Get(t.Context()); return err }},
		"pipe":  {func() error { return a.Send(t.Context(), 1) }, func() error { _, err := b.Recv(t.Context()); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				data := new(int)
				sent := make(chan error, 1)
				go func() {
					*data = 42
					sent <- way.send()
				}()
				require.NoError(t, way.recv())
				require.Equal(t, 42, *data)
				require.NoError(t, <-sent)
			}
		})
	}
}
