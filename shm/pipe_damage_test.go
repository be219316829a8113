package shm

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// What a peer has damaged is an error that says what was found. Nothing is
// consumed by that.
func TestPipeDamagedRecord(t *testing.T) {
	for name, tt := range map[string]struct {
		header uint64
		text   string
	}{
		"longer than what was sent":    {9, "a message of 9 bytes at 0x0, where 2 units are filled"},
		"longer than any":              {57, "a header of 0x39 at 0x0"},
		"much longer":                  {1<<32 - 1, "a header of 0xffffffff at 0x0"},
		"of an unknown kind":           {2<<32 | 8, "a header of 0x200000008 at 0x0"},
		"nothing follows the skip":     {recordSkip, "nothing follows the end of the ring at 0x0"},
		"a skip that is not only that": {recordSkip | 8, "a header of 0x8000000000000008 at 0x0"},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			a, b := testPipe[string](t, &PipeOptions{Bytes: 128, Name: "mad"})
			require.NoError(t, a.TrySend("12345678"))
			binary.NativeEndian.PutUint64(b.recv.data, tt.header)
			for range 2 {
				_, err := b.TryRecv()
				require.ErrorIs(t, err, ErrCorrupt)
				require.ErrorContains(t, err, `shm: pipe "mad": receive: shared memory is damaged: `+tt.text)
				n, err := b.RecvUpTo(t.Context(), make([]string, 2))
				require.Zero(t, n)
				require.ErrorIs(t, err, ErrCorrupt)
			}
			binary.NativeEndian.PutUint64(b.recv.data, 8)
			got, err := b.TryRecv()
			require.NoError(t, err)
			require.Equal(t, "12345678", got)
		})
	}
}

// A batch ends before a damaged message.
func TestPipeDamagedBatch(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[string](t, &PipeOptions{Bytes: 128})
	for _, m := range []string{"1", "2", "3"} {
		require.NoError(t, a.TrySend(m))
	}
	binary.NativeEndian.PutUint64(b.recv.data[4*unitSize:], 1000)
	messages := make([]string, 3)
	n, err := b.RecvUpTo(t.Context(), messages)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, messages[:n])
	_, err = b.RecvUpTo(t.Context(), messages)
	require.ErrorIs(t, err, ErrCorrupt)
}

// Positions further apart than the ring is long cannot be.
func TestPipeDamagedPositions(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testPipe[int](t, &PipeOptions{Capacity: 4})
	words := a.end.send.words
	for _, tail := range []position{position(0).plus(5, 5), position(0).plus(1<<31, 1<<31), 1<<64 - 1} {
		words.tail.Store(uint64(tail))
		for range 2 {
			require.ErrorIs(t, errOf(b.TryRecv()), ErrCorrupt)
			require.ErrorIs(t, errOf(b.Recv(t.Context())), ErrCorrupt)
			require.ErrorIs(t, errOf(b.RecvUpTo(t.Context(), make([]int, 9))), ErrCorrupt)
		}
	}
	for _, head := range []position{position(0).plus(1, 1), position(0).plus(1<<31, 1<<31), 1 << 63} {
		c, _ := testPipe[int](t, &PipeOptions{Capacity: 4})
		c.end.send.words.head.Store(uint64(head))
		for range 2 {
			require.ErrorIs(t, c.TrySend(1), ErrCorrupt)
			require.ErrorIs(t, c.Send(t.Context(), 1), ErrCorrupt)
		}
	}
}
