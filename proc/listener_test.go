package proc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// listen returns a listener that is closed by the test's clean-up, and the
// reasons for which it turns callers away.
func listen(t testing.TB, address string, o *proc.ConnOptions) (*proc.Listener, <-chan error) {
	t.Helper()
	refused := make(chan error, 1000)
	options := proc.ConnOptions{}
	if o != nil {
		options = *o
	}
	options.Refused = func(err error) { refused <- err }
	l, err := proc.Listen(address, &options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, refused
}

// dial connects, and is closed by the test's clean-up.
func dial(t testing.TB, address string, o *proc.ConnOptions) *proc.Conn {
	t.Helper()
	c, err := proc.Dial(t.Context(), address, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// accept takes the next caller, which is closed by the test's clean-up.
func accept(t testing.TB, l *proc.Listener) *proc.Conn {
	t.Helper()
	c, err := l.Accept(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// unique is an address without a name in the file system, which no other run of
// the tests uses.
func unique(name string) string {
	return fmt.Sprintf("@multiproc test %s %d %d", name, os.Getpid(), exchanges.Add(1))
}

func TestListener(t *testing.T) {
	proctest.NoLeaks(t)
	dir := t.TempDir()
	t.Chdir(dir)
	for _, address := range []string{"", unique("listener"), filepath.Join(dir, "socket"), "./relative"} {
		l, refused := listen(t, address, nil)
		if address != "" {
			require.Equal(t, address, l.Address())
		}
		c := dial(t, l.Address(), nil)
		d := accept(t, l)
		require.NoError(t, c.Send(t.Context(), "hello"))
		require.Equal(t, "hello", receive[string](t, d))
		for _, end := range []*proc.Conn{c, d} {
			pid, uid := end.Peer()
			require.Equal(t, []int{os.Getpid(), os.Geteuid()}, []int{pid, uid})
		}
		require.NoError(t, l.Close())
		require.NoError(t, l.Close())
		_, err := l.Accept(t.Context())
		require.ErrorIs(t, err, proc.ErrClosed)
		require.NoError(t, c.Send(t.Context(), "accepted connections stay"))
		require.Equal(t, "accepted connections stay", receive[string](t, d))
		_, err = proc.Dial(t.Context(), l.Address(), nil)
		require.Condition(t, func() bool { return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) }, "%v", err)
		require.Empty(t, refused)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAddresses(t *testing.T) {
	dir := t.TempDir()
	for address, want := range map[string]string{
		"@":                                 "it is neither a path with a slash nor @ and a name",
		"@" + strings.Repeat("x", 107):      "it has 108 bytes, at most 107 are possible",
		dir + "/" + strings.Repeat("x", 99): "at most 107 are possible",
		"@a\x00b":                           "it contains a zero byte",
		"/tmp/a\x00b":                       "it contains a zero byte",
		"tcp:127.0.0.1:80":                  "its family is not supported",
		"unix:/tmp/socket":                  "its family is not supported",
		"http://localhost/":                 "its family is not supported",
		"localhost:80":                      "its family is not supported",
		"127.0.0.1:80":                      "it is neither a path with a slash nor @ and a name",
		"socket":                            "it is neither a path with a slash nor @ and a name",
		dir + "/":                           "it is a directory",
	} {
		_, err := proc.Listen(address, nil)
		require.ErrorIs(t, err, proc.ErrAddress, address)
		require.ErrorContains(t, err, want)
		_, err = proc.Dial(t.Context(), address, nil)
		require.ErrorIs(t, err, proc.ErrAddress, address)
		require.ErrorContains(t, err, want)
	}
	_, err := proc.Dial(t.Context(), "", nil)
	require.ErrorIs(t, err, proc.ErrAddress)

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	for address, want := range map[string]error{
		file:                        unix.EADDRINUSE,
		filepath.Join(dir, "a/b"):   fs.ErrNotExist,
		filepath.Join(file, "name"): unix.ENOTDIR,
	} {
		_, err := proc.Listen(address, nil)
		require.ErrorIs(t, err, want)
	}
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}

// server listens until it is killed.
var server = proctest.Register("server", func(h *proctest.Helper) error {
	l, err := proc.Listen(h.Args[0], nil)
	if err != nil {
		return err
	}
	h.Say("listening")
	for {
		if _, err := l.Accept(context.Background()); err != nil {
			return err
		}
		h.Say("accepted")
	}
})

// What a killed listener left is replaced, and a living one is not.
func TestListenerKilled(t *testing.T) {
	proctest.NoLeaks(t)
	address := filepath.Join(t.TempDir(), "socket")
	p := server.Start(t, nil, address)
	p.Expect(t, "listening")
	_, err := proc.Listen(address, nil)
	require.ErrorIs(t, err, unix.EADDRINUSE)
	dial(t, address, nil)
	p.Expect(t, "accepted")

	c := dial(t, address, nil)
	p.Expect(t, "accepted")
	p.Stop(t)
	_, err = proc.Listen(address, nil)
	require.ErrorIs(t, err, unix.EADDRINUSE, "a stopped one is alive")
	p.Kill(t)
	var v int
	require.Equal(t, io.EOF, c.Recv(t.Context(), &v))
	_, err = proc.Dial(t.Context(), address, nil)
	require.ErrorIs(t, err, unix.ECONNREFUSED)

	l, _ := listen(t, address, nil)
	info, err := os.Stat(address)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o600, info.Mode())
	dial(t, address, nil)
	accept(t, l)
}

// Of many that find what a dead listener left, one gets the address.
func TestListenersRace(t *testing.T) {
	address := filepath.Join(t.TempDir(), "socket")
	for range 20 {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: address}))
		require.NoError(t, unix.Close(fd))

		var group sync.WaitGroup
		listeners := make(chan *proc.Listener, 10)
		for range cap(listeners) {
			group.Go(func() {
				l, err := proc.Listen(address, nil)
				if err == nil {
					listeners <- l
				} else if !errors.Is(err, unix.EADDRINUSE) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		require.Len(t, listeners, 1)
		l := <-listeners
		dial(t, address, nil)
		accept(t, l)
		require.NoError(t, l.Close())
		require.NoFileExists(t, address)
	}
}

// Close finds its socket after a change of directory, and does not miss a
// directory that has gone.
func TestListenerDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	l, _ := listen(t, "./socket", nil)
	t.Chdir("/")
	require.NoError(t, l.Close())
	require.NoFileExists(t, filepath.Join(dir, "socket"))

	below := filepath.Join(dir, "below")
	require.NoError(t, os.Mkdir(below, 0o700))
	l, _ = listen(t, filepath.Join(below, "socket"), nil)
	require.NoError(t, os.RemoveAll(below))
	require.NoError(t, l.Close())
}

// Close does not remove what it has not made.
func TestListenerCloseLeavesOthers(t *testing.T) {
	address := filepath.Join(t.TempDir(), "socket")
	l, _ := listen(t, address, nil)
	require.NoError(t, os.Remove(address))
	require.NoError(t, os.WriteFile(address, nil, 0o600))
	require.NoError(t, l.Close())
	require.FileExists(t, address)
}

func TestAcceptContext(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", nil)
	_, err := l.Accept(ended())
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	accepts := func(ctx context.Context) {
		_, err := l.Accept(ctx)
		result <- err
	}
	go accepts(ctx)
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	go accepts(t.Context())
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-result, proc.ErrClosed)
}

// raw connects without a word.
func raw(t testing.TB, address string) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c.(*net.UnixConn)
}

// One that is silent does not keep the others waiting, and nor do many; it is
// turned away after a time.
func TestListenerSilentCallers(t *testing.T) {
	proctest.NoLeaks(t)
	l, refused := listen(t, "", &proc.ConnOptions{Handshake: 200 * time.Millisecond})
	for range 63 {
		raw(t, l.Address())
	}
	for range 3 {
		dial(t, l.Address(), nil)
		accept(t, l)
	}
	for range 100 { // more than are greeted at once
		raw(t, l.Address())
	}
	dial(t, l.Address(), nil)
	accept(t, l)
	for range 63 {
		err := <-refused
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.ErrorContains(t, err, "no answer within 200ms")
	}
}

// Who is not accepted waits, and gets in later; or the end, when the listener
// is closed. Nothing is left of that.
func TestListenerBacklog(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", &proc.ConnOptions{Backlog: 1})
	const callers = 80 // more than there are places
	var group sync.WaitGroup
	connected := make(chan *proc.Conn, callers)
	for range callers {
		group.Go(func() {
			c, err := proc.Dial(t.Context(), l.Address(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			connected <- c
		})
	}
	for range callers {
		c, err := l.Accept(t.Context())
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	group.Wait()
	for range callers {
		c := <-connected
		var v int
		require.Equal(t, io.EOF, c.Recv(t.Context(), &v))
		require.NoError(t, c.Close())
	}

	c := dial(t, l.Address(), nil)
	require.NoError(t, l.Close())
	var v int
	require.Equal(t, io.EOF, c.Recv(t.Context(), &v))
}

// Dial waits for room in the listener's queue, as long as its context lasts.
func TestDialContext(t *testing.T) {
	proctest.NoLeaks(t)
	address := unique("dial")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Close(fd)) }()
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: address}))
	require.NoError(t, unix.Listen(fd, 0))
	raw(t, address) // the queue is full

	_, err = proc.Dial(ended(), address, nil)
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = proc.Dial(ctx, address, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// There is room, but nobody answers.
	other, _, err := unix.Accept(fd)
	require.NoError(t, err)
	require.NoError(t, unix.Close(other))
	_, err = proc.Dial(t.Context(), address, &proc.ConnOptions{Handshake: time.Millisecond})
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

// Too few descriptors are told to who accepts, and then the listener goes on.
func TestAcceptWithoutDescriptors(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", nil)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	caller := raw(t, l.Address())
	first, err := caller.Read(make([]byte, 48)) // it is being greeted
	require.NoError(t, err)
	require.Equal(t, 48, first)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Close(fd)) }()
	small := old
	small.Cur = 1
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &small))
	require.NoError(t, unix.Connect(fd, &unix.SockaddrUnix{Name: l.Address()}))
	_, err = l.Accept(t.Context())
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, syscall.EMFILE)
	accepted := make(chan error, 1)
	go func() {
		for { // the listener may have tried once more before the limit was back
			c, err := l.Accept(context.Background())
			if errors.Is(err, syscall.EMFILE) {
				continue
			}
			if err == nil {
				err = c.Close()
			}
			accepted <- err
			return
		}
	}()
	dial(t, l.Address(), nil)
	require.NoError(t, <-accepted)
}
