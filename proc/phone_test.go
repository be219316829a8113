package proc_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An exchange is where processes call the test, so that it knows how far they
// are and they do not go on before they are told to. Its address has no name
// in the file system.
type exchange struct {
	addr     string
	listener *net.UnixListener
}

var exchanges atomic.Int32

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

func newExchange(t testing.TB) *exchange {
	t.Helper()
	x := &exchange{addr: fmt.Sprintf("@multiproc-proc-test-%d-%d", os.Getpid(), exchanges.Add(1))}
	var err error
	x.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: x.addr, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.listener.Close()) })
	return x
}

// answer waits for the next caller.
func (x *exchange) answer(t testing.TB) *phone {
	t.Helper()
	require.NoError(t, x.listener.SetDeadline(time.Now().Add(patience)))
	c, err := x.listener.AcceptUnix()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return newPhone(c)
}

// A phone carries lines between a test and a process.
type phone struct {
	conn  net.Conn
	lines *bufio.Scanner
}

func newPhone(c net.Conn) *phone { return &phone{conn: c, lines: bufio.NewScanner(c)} }

// call is for processes. Their end hangs up.
func call(addr string) (*phone, error) {
	c, err := net.Dial("unix", addr)
	if err != nil {
		return nil, err
	}
	return newPhone(c), nil
}

func (p *phone) tell(line string) error {
	_, err := fmt.Fprintln(p.conn, line)
	return err
}

func (p *phone) listen() (string, error) {
	if p.lines.Scan() {
		return p.lines.Text(), nil
	}
	return "", fmt.Errorf("nobody speaks any more: %w", p.lines.Err())
}

// converse says that the process has come to some point, and waits until the
// test has said something.
func (p *phone) converse(line string) (string, error) {
	if err := p.tell(line); err != nil {
		return "", err
	}
	return p.listen()
}

// say is for tests.
func (p *phone) say(t testing.TB, line string) {
	t.Helper()
	require.NoError(t, p.tell(line))
}

// hear is for tests.
func (p *phone) hear(t testing.TB) string {
	t.Helper()
	line, err := p.listen()
	require.NoError(t, err)
	return line
}

// expect is for tests.
func (p *phone) expect(t testing.TB, line string) {
	t.Helper()
	require.Equal(t, line, p.hear(t))
}
