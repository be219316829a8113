package proc

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// A record that turned into another one while it was copied is an error.
func TestRecordThatChanges(t *testing.T) {
	c := &call[int, int]{job: &job{fn: &function{name: "f"}}, decode: decoder[int]()}
	for _, kind := range []chunk.Kind{chunk.Elsewhere, chunk.FailureElsewhere} {
		outcomes := 0
		c.each(delivery{items: 2, results: chunk.Append(nil, kind, nil)}, func(r outcome[int]) bool {
			require.ErrorIs(t, r.Err, chunk.ErrCorrupt)
			outcomes++
			return true
		})
		require.Equal(t, 2, outcomes)
	}
}

// Why an argument cannot be sent, its task gets to know.
func TestArgumentThatCannotBeSent(t *testing.T) {
	refused := errors.New("refused")
	arg := &parcel{message: &wire.Message{}}
	send := func(*wire.Message) error { return refused }
	require.Equal(t, refused, arg.lend(send))
	arg.close()
	require.Equal(t, errGivenUp, arg.lend(send))
	require.Equal(t, ErrTaskCancelled, withdrawn(&wire.Message{}))
	require.EqualError(t, withdrawn(&wire.Message{Data: []byte("refused")}), "refused")
}
