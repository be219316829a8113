package shm

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// The length of a message never looks like the mark that the rest of the ring is
// unused.
func TestRecordLengthIsNoMark(t *testing.T) {
	r := records{units: maxUnits}
	require.NoError(t, r.fits(1<<33-8))
	require.Less(t, uint64(r.biggest()), uint64(recordSkip))
}

func queueOfRows(t *testing.T) *wire.Message {
	type row struct{ A, B int32 }
	return sent(t, testQueue[[]row](t, 2, nil))
}

func asQueueOfOtherRows(m *wire.Message) error {
	type row struct{ B, A int32 }
	return received[Queue[[]row]](m)
}

// Two programs may have types of one name that differ.
func TestRecordsOfAnotherTypeOfThatName(t *testing.T) {
	proctest.NoLeaks(t)
	require.ErrorIs(t, asQueueOfOtherRows(queueOfRows(t)), ErrLayout)
	got := roundTrip(t, testQueue[[]point](t, 2, nil))
	require.Equal(t, reflect.TypeFor[*Queue[[]point]](), reflect.TypeOf(got))
	require.NoError(t, got.Detach())
}
