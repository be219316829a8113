package fifo

import (
	"fmt"
	"math"
	"strings"
)

// An item says who put it, and as which of its items, from 1. So each is put
// once. 0 is none.
type item uint64

func itemOf(client, n int) item { return item(client)<<32 | item(n) }

func (i item) String() string { return fmt.Sprintf("%d.%d", i>>32, uint32(i)) }

// A kind is what a client does with a queue, or with its end of a pipe. An
// operation for several items at once is one operation an item, at the same time
// and in order.
type kind uint8

const (
	put kind = iota + 1
	get
	shut  // closes it for all
	leave // puts nothing more
)

var kinds = [...]string{put: "put", get: "get", shut: "close", leave: "leave"}

// An outcome is how an operation went. Of one that never returned, because its
// process was killed, it is not known whether it had an effect.
type outcome uint8

const (
	pending   outcome = iota
	ok                // the item was put or got
	no                // full, or empty
	closed            // nothing can be put any more, or nothing more will come
	cancelled         // its context has ended
)

var outcomes = [...]string{"pending", "ok", "no", "closed", "cancelled"}

// An op is one operation. One that is pending returned, at the latest, when its
// process was dead.
type op struct {
	kind
	outcome
	item
	client    int
	turn      int // in the order of its client
	call, ret int64
}

func (o op) String() string {
	return fmt.Sprintf("[%d %d] client %d: %s %v %s", o.call, o.ret, o.client, kinds[o.kind], o.item, outcomes[o.outcome])
}

// A history is what a round's clients have seen.
type history struct {
	ops    []op
	killed int // processes

	capacity int // no more items at a time
	full     int // a put is refused only if there are so many

	// When it may first have been closed: for those who put, and for those who get.
	closedPut, closedGet int64
}

const never = math.MaxInt64

func (h *history) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "capacity %d, full with %d, may be closed for put at %d and for get at %d\n", h.capacity, h.full, h.closedPut, h.closedGet)
	for _, o := range h.ops {
		fmt.Fprintln(&text, o)
	}
	return text.String()
}
