package spin

import "sync/atomic"

const (
	dense    = 8   // so many at a time are a stream
	longRest = 100 // in pauses: 2.5 µs
)

// A Pace is what one end of a stream has learned about how densely it comes. If many
// things have come during a rest, the next rest is twice as long, so that they come in
// larger lots, and the cache line changes hands less often; if few, half as long. If it
// was one, somebody may wait for the answer to each: there is the shortest rest. The
// zero value has learned nothing.
type Pace struct{ rest atomic.Uint32 }

// Until is b.Until with a rest that suits the stream. If it says yes, Came is to follow.
func (p *Pace) Until(b *Budget, done func() bool) bool { return b.until(p.pauses(), done) }

func (p *Pace) pauses() uint32 { return max(rest, p.rest.Load()) }

// Came says how many things have come since the look before the rest.
func (p *Pace) Came(n int) {
	now := p.pauses()
	switch {
	case n >= dense:
		p.rest.Store(min(2*now, longRest))
	case n > 1:
		p.rest.Store(now / 2)
	case n == 1:
		p.rest.Store(0)
	}
}
