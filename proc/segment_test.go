package proc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

// mark writes into the segment that it gets, and returns another one.
var mark = proc.Register("mark", func(_ context.Context, s *shm.Segment) (*shm.Segment, error) {
	here, err := shm.Place[uint64](s, 8)
	if err != nil {
		return nil, err
	}
	*here++
	answer, err := shm.Create("answer", 16)
	if err != nil {
		return nil, err
	}
	there, err := shm.Place[uint64](answer, 0)
	if err != nil {
		return nil, err
	}
	*there = *here + uint64(s.Size())
	return answer, nil
})

// TestSegmentTravels hands a bare segment over as an argument, and gets one as a
// result.
func TestSegmentTravels(t *testing.T) {
	proctest.NoLeaks(t)
	s, err := shm.Create("question", 16)
	require.NoError(t, err)
	here, err := shm.Place[uint64](s, 8)
	require.NoError(t, err)
	*here = 41
	c, err := mark.Start(t.Context(), s, nil)
	require.NoError(t, err)
	answer, err := c.Result(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 42, *here)
	require.Equal(t, "answer", answer.Name())
	require.Equal(t, 16, answer.Size())
	there, err := shm.Place[uint64](answer, 0)
	require.NoError(t, err)
	require.EqualValues(t, 42+16, *there)
	require.NoError(t, answer.Close())
	require.NoError(t, s.Close())

	_, err = mark.Start(t.Context(), s, nil)
	require.ErrorIs(t, err, shm.ErrClosed)
}
