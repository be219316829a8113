package proc

import (
	"fmt"
	"reflect"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// write writes an outcome.
func (r *runner) write(c *chunk.Claim, result encoded, failed *failure) {
	if failed != nil {
		r.writeFailure(c, *failed)
		return
	}
	if c.Fits(len(result.data)) && !result.files() {
		c.Write(chunk.Value, result.data)
		if result.message == nil {
			r.buf = result.data // to be used again
		}
		return
	}
	m := result.message
	if m == nil {
		m = &wire.Message{Data: result.data}
	}
	if err := r.send(c, m); err != nil { // the parent is gone, or the system refuses the descriptors
		r.writeFailure(c, failureOf(fmt.Errorf("send the result: %w", err)))
		return
	}
	c.Write(chunk.Elsewhere, nil)
}

// send sends the outcome of the item in hand beside its slot, and closes it.
func (r *runner) send(c *chunk.Claim, m *wire.Message) error {
	slot, tag := c.ID()
	data := appendSentKey(make([]byte, 0, sentKeySize+len(m.Data)), sentKey{slot, tag, c.Item()})
	m.Data = append(data, m.Data...)
	defer m.Close()
	return wire.Send(r.conn, frameSent, m)
}

// writeFailure writes a failure.
func (r *runner) writeFailure(c *chunk.Claim, f failure) {
	m, err := wire.Encode(reflect.ValueOf(f))
	switch {
	case err == nil && c.Fits(len(m.Data)):
		c.Write(chunk.Failure, m.Data)
	case err == nil && r.send(c, m) == nil:
		c.Write(chunk.FailureElsewhere, nil)
	default: // the parent is gone, as strings and numbers can always be encoded
		c.Write(chunk.Failure, nil)
	}
}
