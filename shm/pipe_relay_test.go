//go:build stress

package shm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/wire"
)

const (
	relayName  = "relayed"
	relayBatch = 3 // most messages at a time
	relayLast  = 9 // exchanges over ends that could not be passed on
)

// A relayStage is what a process of one round is given. A carrier without ends
// waits until the other one passes them on.
type relayStage struct {
	Ends  ends
	Books *Array[book]
}

// A book keeps the account of one direction of a pipe. Who has the end keeps it,
// and nobody else has it at that time.
type book struct {
	begun atomic.Uint64 // messages that somebody has begun to send
	done  atomic.Uint64 // and those that are sent
	got   atomic.Uint64 // messages that were received, each of them the one after the last
}

// A lane is an end of a pipe, of whatever kind. Its messages are numbered, and
// message n of a kind is always the same.
type lane struct {
	name    string
	send    func(ctx context.Context, first uint64, n int) error
	recv    func(ctx context.Context, next uint64, most int) (n int, err error)
	out, in *book
	sent    *atomic.Uint64 // what the pipe says of the way to us
}

// lanes returns the three pipes; those of the anchor have even books for what
// they send, and odd ones for what they receive.
func (s *relayStage) lanes(anchor bool) (all [3]*lane) {
	text := func(n uint64) string { return strings.Repeat(fmt.Sprint(n, ","), 1+int(n%4)) }
	all[0] = slotsLane(s.Ends.Int, func(n uint64) int { return int(n) })
	all[1] = slotsLane(s.Ends.Text, text)
	all[2] = bytesLane(s.Ends.Bytes, text)
	for i, name := range []string{"values", "records", "bytes"} {
		l, books := all[i], s.Books.View()[2*i:]
		l.name, l.out, l.in = name, &books[0], &books[1]
		if !anchor {
			l.out, l.in = l.in, l.out
		}
	}
	return all
}

func slotsLane[T comparable](p *Pipe[T], item func(n uint64) T) *lane {
	return &lane{
		send: func(ctx context.Context, first uint64, n int) error {
			var items []T
			for i := range n {
				items = append(items, item(first+uint64(i)))
			}
			if n == 1 {
				return p.Send(ctx, items[0])
			}
			_, err := p.SendAll(ctx, items)
			return err
		},
		recv: func(ctx context.Context, next uint64, most int) (n int, err error) {
			items := make([]T, most)
			if n = 1; most == 1 {
				items[0], err = p.Recv(ctx)
			} else {
				n, err = p.RecvUpTo(ctx, items)
			}
			if err != nil {
				return 0, err
			}
			for i, v := range items[:n] {
				if v != item(next+uint64(i)) {
					return 0, fmt.Errorf("message %d is %v", next+uint64(i), v)
				}
			}
			return n, nil
		},
		sent: &p.end.recv.words.tail,
	}
}

func bytesLane(p *BytePipe, item func(n uint64) string) *lane {
	return &lane{
		send: func(ctx context.Context, first uint64, n int) (err error) {
			for i := 0; i < n && err == nil; i++ {
				text := item(first + uint64(i))
				err = p.SendFunc(ctx, len(text), func(message []byte) error { copy(message, text); return nil })
			}
			return err
		},
		recv: func(ctx context.Context, next uint64, _ int) (n int, err error) {
			b, err := p.RecvBytes(ctx, 100)
			if err == nil && string(b) != item(next) {
				return 0, fmt.Errorf("message %d is %q", next, b)
			}
			return 1, err
		},
		sent: &p.inner().end.recv.words.tail,
	}
}

// put sends some messages.
func (l *lane) put() error {
	n := uint64(1 + rand.IntN(relayBatch))
	first := l.out.begun.Load()
	l.out.begun.Store(first + n)
	err := l.send(context.Background(), first, int(n))
	if err == nil {
		l.out.done.Store(first + n)
	}
	return err
}

// take receives some messages, which must be the next ones.
func (l *lane) take() error {
	n, err := l.recv(context.Background(), l.in.got.Load(), 1+rand.IntN(relayBatch))
	if err == nil {
		l.in.got.Add(uint64(n))
	}
	return err
}

// finish receives what is left, to the end, and sees that nobody is there to
// send to. All that was committed was received then.
func (l *lane) finish() (err error) {
	for err == nil {
		err = l.take()
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: the last receive: %w", l.name, err)
	}
	if sent, got := position(l.sent.Load()).items(), uint32(l.in.got.Load()); sent != got {
		return fmt.Errorf("%s: %d messages were committed, %d received", l.name, sent, got)
	}
	for range 3 {
		if err = l.put(); !errors.Is(err, ErrBroken) {
			return fmt.Errorf("%s: send after the end: %w", l.name, err)
		}
	}
	return nil
}

// finish ends all lanes, closes the ends and sees that nothing of them is left
// in this process.
func (s *relayStage) finish(anchor bool) error {
	for _, l := range s.lanes(anchor) {
		if err := l.finish(); err != nil {
			return err
		}
	}
	return s.leave()
}

func (s *relayStage) leave() error {
	err := errors.Join(s.Ends.Int.Close(), s.Ends.Text.Close(), s.Ends.Bytes.Close())
	s.Ends = ends{}
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err == nil && strings.Contains(string(maps), relayName) {
		err = fmt.Errorf("a pipe is still mapped:\n%s", maps)
	}
	return err
}

// The anchor has its ends from the beginning until nobody has the other ones. It
// sends and receives over each pipe at the same time.
var relayAnchor = proctest.Register("relay anchor", func(h *proctest.Helper) error {
	withoutLooks()
	s, err := take[relayStage](h)
	if err != nil {
		return err
	}
	lanes := s.lanes(true)
	ended := make(chan error, 2*len(lanes))
	for _, l := range lanes {
		for _, side := range []struct {
			step func() error
			last error
		}{{l.put, ErrBroken}, {l.take, io.EOF}} {
			go func() {
				var err error
				for err == nil {
					err = side.step()
				}
				if errors.Is(err, side.last) {
					err = nil
				}
				ended <- err
			}()
		}
	}
	for range cap(ended) {
		err = errors.Join(err, <-ended)
	}
	if err == nil {
		err = s.finish(true)
	}
	if err == nil {
		h.Say("over")
	}
	return err
})

// A carrier has the ends for some messages, and then passes them on to the other
// carrier, if there is one.
var relayCarrier = proctest.Register("relay carrier", func(h *proctest.Helper) error {
	withoutLooks()
	s, err := take[relayStage](h)
	if err != nil {
		return err
	}
	link, err := linkOf(h.Files[1])
	if err != nil {
		return err
	}
	for err == nil {
		if s.Ends.Int == nil {
			err = s.receive(link)
		} else {
			err = s.carry(link, h.Args[0] == "passes")
		}
	}
	if errors.Is(err, errRelayOver) {
		h.Say("over")
		err = link.Close()
	}
	return err
})

var errRelayOver = errors.New("the other carrier, or the anchor, has gone")

// receive takes the ends that come from the other carrier.
func (s *relayStage) receive(link *wire.Conn) error {
	_, m, err := wire.Recv(link)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // between two messages, or within one
		return errRelayOver
	}
	if err != nil {
		return err
	}
	defer m.Close()
	return wire.Decode(m, reflect.ValueOf(&s.Ends).Elem())
}

// carry sends and receives some messages and passes the ends on. If the other
// carrier has gone they are still ours, and the anchor does not wait for them to
// arrive.
func (s *relayStage) carry(link *wire.Conn, passes bool) error {
	if err := s.use(rand.IntN(6), passes); err != nil {
		return err
	}
	m, err := wire.Encode(reflect.ValueOf(s.Ends))
	if err != nil {
		return err
	}
	sending := wire.Send(link, 1, m)
	m.Close()
	if errors.Is(sending, unix.EPIPE) {
		if err := s.use(relayLast, true); err != nil {
			return err
		}
		sending = errRelayOver
	}
	if err := s.leave(); err != nil {
		return err
	}
	return sending
}

// use sends and receives some messages, or without end. It fails with
// errRelayOver when all is over because the anchor has gone.
func (s *relayStage) use(times int, passes bool) (err error) {
	for ; (times > 0 || !passes) && err == nil; times-- {
		l := s.lanes(false)[rand.IntN(3)]
		if err = l.put(); err == nil {
			err = l.take()
		}
	}
	if errors.Is(err, ErrBroken) || errors.Is(err, io.EOF) {
		if err = s.finish(false); err == nil {
			err = errRelayOver
		}
	}
	return err
}
