package proc

import (
	"encoding/binary"

	"github.com/go-multiproc/multiproc/internal/chunk"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// frameNone is not sent: a worker is told so that there will be no more frames.
const frameNone byte = 0

// Frames between a pool and its workers, on the control socket.
const (
	frameReady     byte = 32 + iota // worker: the initialiser has returned
	frameFetch                      // worker: the argument of an item, or of a whole job
	frameFetched                    // parent: here it is
	frameWithdrawn                  // parent: it does not come, and why; empty: nobody wants it any more
	frameSent                       // worker: a result that does not lie in the slot
	frameCancel                     // parent: an item is to end
)

// A fetchOrder asks for an argument.
type fetchOrder struct {
	Job  uint64
	Item int // sharedItem: the job's own
}

const sharedItem = -1

// Jobs that stand for what a pool runs at a worker's begin and end.
const (
	initJob = ^uint64(0) - iota
	exitJob
)

// A cancelOrder says which item is to end, and why.
type cancelOrder struct {
	Slot    int
	Tag     uint32
	Item    int
	Timeout bool
}

// A sentKey says whose result was sent.
type sentKey struct {
	slot int
	tag  uint32
	item int
}

const sentKeySize = 16

func appendSentKey(b []byte, k sentKey) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(k.slot))
	b = binary.LittleEndian.AppendUint32(b, k.tag)
	return binary.LittleEndian.AppendUint64(b, uint64(k.item))
}

// cutSentKey takes the key off the start of the message's data.
func cutSentKey(m *wire.Message) (sentKey, error) {
	if len(m.Data) < sentKeySize {
		return sentKey{}, wire.ErrFormat
	}
	k := sentKey{
		slot: int(binary.LittleEndian.Uint32(m.Data)),
		tag:  binary.LittleEndian.Uint32(m.Data[4:]),
		item: int(binary.LittleEndian.Uint64(m.Data[8:])),
	}
	if k.slot >= chunk.Slots || k.item < 0 || k.item >= chunk.MaxItems {
		return sentKey{}, wire.ErrFormat
	}
	m.Data = m.Data[sentKeySize:]
	return k, nil
}
