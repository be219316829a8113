package proc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/wire"
)

// ErrAddress means that an address is neither a path with a slash in it nor @
// and a name, or is too long.
var ErrAddress = wire.ErrAddress

// maxWaiting is how many callers may be greeted, or wait for Accept, at once.
const maxWaiting = 64

// Dial connects to the listener at an address and returns when both have proved
// to each other that they are processes of one user and know the same key. The
// caller must close the connection.
//
// It fails with ECONNREFUSED or ENOENT if nobody listens there, EACCES if it is
// another user's path, the context's error if ctx ends first, ErrAddress,
// ErrAuthentication, ErrProtocol, os.ErrDeadlineExceeded if the listener is
// silent for too long, io.ErrUnexpectedEOF if it hangs up or dies, and else what
// the system says, or what is wrong with the key file. The time limit begins when
// the kernel has connected the two: for a listener that is stopped, with many
// callers waiting, Dial waits with ctx.
func Dial(ctx context.Context, address string, o *ConnOptions) (*Conn, error) {
	c, err := dial(ctx, address, o)
	if err != nil {
		return nil, fmt.Errorf("proc: dial %s: %w", address, err)
	}
	return c, nil
}

func dial(ctx context.Context, address string, o *ConnOptions) (*Conn, error) {
	s, err := settingsOf(o)
	if err != nil {
		return nil, err
	}
	sock, err := wire.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return greet(ctx, sock, false, s)
}

// A Listener is where processes that know its address can connect. They need not
// be children, nor run the same program. Its methods may be called by several
// goroutines.
//
// It greets callers in the background, up to 64 at once, so that one that is slow
// or hostile does not keep the others waiting.
type Listener struct {
	socket   *wire.Listener
	settings *settings

	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	background sync.WaitGroup
	places     chan struct{} // one for each caller that is being greeted or in arrived
	arrived    chan arrival
	close      func() error
}

// An arrival is what Accept is to return.
type arrival struct {
	conn  *Conn
	err   error
	taken chan struct{} // of an error: closed by Accept
}

// Listen makes an address at which other processes of this user can connect: a
// path, as /run/user/1000/app or ./app, or @ and a name, which is in no file
// system and vanishes with its last user. An empty address makes a new one of
// the second kind. The caller must Close the listener.
//
// The path is removed by Close. What a listener that was killed left is
// replaced, once nobody listens there; an address in use is EADDRINUSE. For that
// a file beside the socket, .multiproc-lock- and its name, is locked for a moment
// and removed; if Listen is killed just then, the next one there removes it. Other
// users who may make files in the directory, as in /tmp, can take the names, so
// use a directory of your own. An address of another kind, as host:port, matches
// ErrAddress: connections stay on one machine, because shared memory does.
func Listen(address string, o *ConnOptions) (*Listener, error) {
	if address == "" {
		address = "@multiproc-" + rand.Text()
	}
	l, err := listen(address, o)
	if err != nil {
		return nil, fmt.Errorf("proc: listen at %s: %w", address, err)
	}
	return l, nil
}

func listen(address string, o *ConnOptions) (*Listener, error) {
	s, err := settingsOf(o)
	if err != nil {
		return nil, err
	}
	socket, err := wire.Listen(address, s.backlog)
	if err != nil {
		return nil, err
	}
	l := &Listener{
		socket:   socket,
		settings: s,
		places:   make(chan struct{}, maxWaiting),
		arrived:  make(chan arrival, maxWaiting),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.close = sync.OnceValue(l.shut)
	l.background.Go(l.serve)
	return l, nil
}

// serve takes callers out of the kernel's queue while there are places for
// them.
func (l *Listener) serve() {
	for {
		select {
		case l.places <- struct{}{}:
		case <-l.ctx.Done():
			return
		}
		sock, err := l.socket.Accept()
		if err == nil {
			l.background.Add(1)
			go l.welcome(sock)
			continue
		}
		if l.ctx.Err() != nil {
			return
		}
		taken := make(chan struct{}) // as too few descriptors: tried again once somebody knows
		l.arrive(arrival{err: err, taken: taken})
		select {
		case <-taken:
		case <-l.ctx.Done():
			return
		}
	}
}

func (l *Listener) welcome(sock *wire.Conn) {
	conn, err := greet(l.ctx, sock, true, l.settings)
	if err == nil {
		l.arrive(arrival{conn: conn})
	}
	tell := err != nil && l.ctx.Err() == nil && l.settings.refused != nil
	l.background.Done()
	if tell {
		l.settings.refused(err)
	}
	if err != nil {
		<-l.places // after the report: whoever is refused cannot make more of them than there are places
	}
}

// arrive never blocks: there is a place for each.
func (l *Listener) arrive(a arrival) {
	l.arrived <- a
	await.Notify()
}

// Accept waits for the next process that has connected and proved itself. The
// caller must close the connection. Callers that were turned away are not seen
// here, see ConnOptions.Refused.
//
// The error is the context's if ctx ends first, ErrClosed after Close, and
// otherwise the system's, as EMFILE; the listener goes on after that.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	if l.ctx.Err() != nil {
		return nil, l.failed(ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return nil, l.failed(err)
	}
	select {
	case a := <-l.arrived:
		<-l.places
		if a.err != nil {
			close(a.taken)
			return nil, l.failed(a.err)
		}
		return a.conn, nil
	case <-l.ctx.Done():
		return nil, l.failed(ErrClosed)
	case <-ctx.Done():
		return nil, l.failed(ctx.Err())
	}
}

func (l *Listener) failed(err error) error {
	return fmt.Errorf("proc: accept at %s: %w", l.Address(), err)
}

// Address returns the address, for Dial.
func (l *Listener) Address() string { return l.socket.Address() }

// Await is for [Wait]: a listener is ready when Accept would not wait.
func (l *Listener) Await(*await.List) bool {
	return len(l.arrived) > 0 || l.ctx.Err() != nil
}

// Close ends listening. Callers that were not accepted get the end of the
// stream; accepted connections stay. Closing twice is allowed.
func (l *Listener) Close() error { return l.close() }

func (l *Listener) shut() error {
	l.cancel()
	err := l.socket.Close()
	await.Notify()
	l.background.Wait()
	for len(l.arrived) > 0 { // nobody adds any more; Accept may still take
		select {
		case a := <-l.arrived:
			if a.conn != nil {
				err = errors.Join(err, a.conn.Close())
			}
		default:
		}
	}
	if err != nil {
		return fmt.Errorf("proc: close the listener at %s: %w", l.Address(), err)
	}
	return nil
}

var _ interface {
	io.Closer
	await.Source
} = (*Listener)(nil)
