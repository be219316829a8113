package proc_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// keyed are options with a key.
func keyed(key string) *proc.ConnOptions { return &proc.ConnOptions{Key: []byte(key)} }

func TestKeys(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tt := range []struct {
		name              string
		listens, calls    *proc.ConnOptions
		listener, calling string // errors; "" for success
	}{
		{"none", nil, nil, "", ""},
		{"same", keyed("secret"), keyed("secret"), "", ""},
		{"empty", keyed(""), keyed(""), "", ""},
		{"long", keyed(strings.Repeat("x", 5000)), keyed(strings.Repeat("x", 5000)), "", ""},
		{"different", keyed("secret"), keyed("Secret"), "the other end has another key", "the listener has another key"},
		{"empty and not", keyed(""), keyed("secret"), "the other end has another key", "the listener has another key"},
		{"only the listener", keyed("secret"), nil, "the other end has no key, this one has", "the other end has a key, this one has none"},
		{"only the caller", nil, keyed("secret"), "the other end has a key, this one has none", "the other end has no key, this one has"},
		{"empty and none", keyed(""), nil, "the other end has no key, this one has", "the other end has a key, this one has none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, refused := listen(t, "", tt.listens)
			c, err := proc.Dial(t.Context(), l.Address(), tt.calls)
			if tt.calling != "" {
				require.ErrorIs(t, err, proc.ErrAuthentication)
				require.ErrorContains(t, err, tt.calling)
				err = <-refused
				require.ErrorIs(t, err, proc.ErrAuthentication)
				require.ErrorContains(t, err, tt.listener)
				_, err = proc.Wait(ended(), l)
				require.ErrorIs(t, err, context.Canceled, "nobody to accept")
				return
			}
			require.NoError(t, err)
			require.NoError(t, c.Send(t.Context(), 7))
			require.Equal(t, 7, receive[int](t, accept(t, l)))
			require.NoError(t, c.Close())
		})
	}
}

func TestWhereKeysComeFrom(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	require.NoError(t, os.WriteFile(file, []byte("from the file\n"), 0o600))
	t.Setenv("MULTIPROC_AUTHKEY", "from the environment")
	ways := map[string]*proc.ConnOptions{
		"option":      {Key: []byte("from the option"), KeyFile: file},
		"file":        {KeyFile: file},
		"environment": nil,
	}
	same := map[string]string{"option": "from the option", "file": "from the file\n", "environment": "from the environment"}
	for name, o := range ways {
		l, _ := listen(t, "", o)
		for other, key := range same {
			c, err := proc.Dial(t.Context(), l.Address(), keyed(key))
			if other != name {
				require.ErrorIs(t, err, proc.ErrAuthentication, "%s %s", name, other)
				continue
			}
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
	}
	t.Setenv("MULTIPROC_AUTHKEY", "")
	l, _ := listen(t, "", nil)
	dial(t, l.Address(), &proc.ConnOptions{})
}

func TestKeyFilesRefused(t *testing.T) {
	proctest.NoLeaks(t)
	dir := t.TempDir()
	file := func(name string, size int, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, make([]byte, size), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	cases := map[string]string{
		file("group", 1, 0o640):         "its mode is 0640: others than its owner may use it; make it 0600",
		file("others", 1, 0o602):        "its mode is 0602",
		file("empty", 0, 0o600):         "it is empty",
		file("large", 4097, 0o600):      "it has more than 4096 bytes",
		fifo:                            "it is no regular file",
		dir:                             "it is no regular file",
		filepath.Join(dir, "not there"): "no such file or directory",
	}
	if os.Geteuid() == 0 {
		strange := file("strange", 1, 0o600)
		require.NoError(t, os.Chown(strange, 12345, -1))
		cases[strange] = "it belongs to user 12345, not to this process's user 0"
	} else {
		cases["/etc/passwd"] = "it belongs to user 0, not to this process's user"
	}
	for path, want := range cases {
		o := &proc.ConnOptions{KeyFile: path}
		_, err := proc.Listen("", o)
		require.ErrorContains(t, err, "key file "+path+": ")
		require.ErrorContains(t, err, want)
		_, err = proc.Dial(t.Context(), "@nobody", o)
		require.ErrorContains(t, err, want)
	}
	dial(t, func() string {
		l, _ := listen(t, "", &proc.ConnOptions{KeyFile: file("good", 4096, 0o400)})
		return l.Address()
	}(), keyed(string(make([]byte, 4096))))
}

// helloOf is written from docs/layout.md.
func helloOf(version, flags uint32, nonce byte) []byte {
	b := []byte("MPCONNCT")
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, flags)
	for range 32 {
		b = append(b, nonce)
	}
	return b
}

func proofOf(key, role string, caller, listener []byte) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(role))
	h.Write(caller[16:])
	h.Write(listener[16:])
	return h.Sum(make([]byte, 8))
}

func readAll(t testing.TB, c net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	require.NoError(t, err)
	return b
}

const (
	roleCaller   = "multiproc connection 1: caller"
	roleListener = "multiproc connection 1: listener"
)

// Another program can take part that goes by the documentation.
func TestHandshakeByDocumentation(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", keyed("secret"))
	c := raw(t, l.Address())
	mine := helloOf(1, 1, 7)
	_, err := c.Write(mine)
	require.NoError(t, err)
	theirs := readAll(t, c, 48)
	require.Equal(t, helloOf(1, 3, 0)[:16], theirs[:16])
	_, err = c.Write(proofOf("secret", roleCaller, mine, theirs))
	require.NoError(t, err)
	require.Equal(t, proofOf("secret", roleListener, mine, theirs), readAll(t, c, 40))
	accepted := accept(t, l)
	require.NoError(t, accepted.SendBytes(t.Context(), []byte("hi")))
	require.Equal(t, "PM\x11\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00hi", string(readAll(t, c, 26)))
	require.NoError(t, c.Close())

	// Nonces are fresh.
	again := raw(t, l.Address())
	require.NotEqual(t, theirs, readAll(t, again, 48))
}

// strangers are what a hostile peer may send, and the error on the honest side.
// The role is that of the stranger.
var strangers = []struct {
	name   string
	key    string // of the honest side
	bytes  func(theirs []byte, listens bool) []byte
	want   error
	reason string
}{
	{"nothing", "", func([]byte, bool) []byte { return nil }, io.ErrUnexpectedEOF, "it hung up"},
	{"half a hello", "", func(_ []byte, l bool) []byte { return helloOf(1, role(l), 1)[:20] }, io.ErrUnexpectedEOF, "unexpected EOF"},
	{"garbage", "", func([]byte, bool) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }, proc.ErrProtocol, "it began with 47 45 54"},
	{"version", "", func(_ []byte, l bool) []byte { return helloOf(2, role(l), 1)[:16] }, proc.ErrProtocol, "the other end speaks version 2, this one 1"},
	{"flags", "", func(_ []byte, l bool) []byte { return helloOf(1, role(l)|4, 1) }, proc.ErrProtocol, "flags"},
	{"same role", "", func(_ []byte, l bool) []byte { return helloOf(1, role(!l), 1) }, proc.ErrProtocol, "flags"},
	{"reflection", "secret", func(theirs []byte, _ bool) []byte { return theirs }, proc.ErrProtocol, "flags"},
	{"no proof", "secret", func(_ []byte, l bool) []byte { return helloOf(1, 1|role(l), 1) }, io.ErrUnexpectedEOF, "it hung up"},
	{"half a proof", "secret", func(_ []byte, l bool) []byte { return append(helloOf(1, 1|role(l), 1), make([]byte, 39)...) }, io.ErrUnexpectedEOF, ""},
	{"zero proof", "secret", func(_ []byte, l bool) []byte { return append(helloOf(1, 1|role(l), 1), make([]byte, 40)...) }, proc.ErrAuthentication, "the other end has another key"},
	{"other role's proof", "secret", func(theirs []byte, l bool) []byte {
		mine := helloOf(1, 1|role(l), 1)
		if l {
			return append(mine, proofOf("secret", roleCaller, theirs, mine)...)
		}
		return append(mine, proofOf("secret", roleListener, mine, theirs)...)
	}, proc.ErrAuthentication, "the other end has another key"},
	{"old proof", "secret", func(theirs []byte, l bool) []byte {
		mine, other := helloOf(1, 1|role(l), 1), helloOf(1, 0, 9)
		if l {
			return append(mine, proofOf("secret", roleListener, other, mine)...)
		}
		return append(mine, proofOf("secret", roleCaller, mine, other)...)
	}, proc.ErrAuthentication, "the other end has another key"},
}

func role(listens bool) uint32 {
	if listens {
		return 2
	}
	return 0
}

// stranger answers a hello, with descriptors that nobody asked for.
func stranger(c *net.UnixConn, bytes func(theirs []byte, listens bool) []byte, listens bool) error {
	theirs := make([]byte, 48)
	if _, err := io.ReadFull(c, theirs); err != nil {
		return err
	}
	if b := bytes(theirs, listens); len(b) > 0 {
		if _, _, err := c.WriteMsgUnix(b, unix.UnixRights(0, 1, 2), nil); err != nil {
			return err
		}
	}
	return c.CloseWrite()
}

func optionsFor(key string) *proc.ConnOptions {
	if key == "" {
		return nil
	}
	return keyed(key)
}

func TestHostileCallers(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tt := range strangers {
		t.Run(tt.name, func(t *testing.T) {
			l, refused := listen(t, "", optionsFor(tt.key))
			require.NoError(t, stranger(raw(t, l.Address()), tt.bytes, false))
			err := <-refused
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.reason)
			_, err = proc.Wait(ended(), l)
			require.ErrorIs(t, err, context.Canceled)
			dial(t, l.Address(), optionsFor(tt.key))
			accept(t, l)
		})
	}
}

// Python: OtherTest.test_answer_challenge_auth_failure
func TestHostileListeners(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tt := range strangers {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: unique("hostile"), Net: "unix"})
			require.NoError(t, err)
			defer func() { require.NoError(t, l.Close()) }()
			answered := make(chan error)
			go func() {
				c, err := l.AcceptUnix()
				if err == nil {
					err = stranger(c, tt.bytes, true)
					_, _ = io.Copy(io.Discard, c) // until the caller gives up
					_ = c.Close()
				}
				answered <- err
			}()
			_, err = proc.Dial(t.Context(), l.Addr().String(), optionsFor(tt.key))
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.reason)
			require.NoError(t, <-answered)
		})
	}
}

// foreign is a process of the user of this number. It dials, as this module does,
// and listens, as a hostile program would.
var foreign = proctest.Register("foreign", func(h *proctest.Helper) error {
	uid, err := strconv.Atoi(h.Args[2])
	if err != nil {
		return err
	}
	if err := unix.Setresuid(uid, uid, uid); err != nil {
		return err
	}
	_, err = proc.Dial(context.Background(), h.Args[0], nil)
	h.Say(fmt.Sprint(errors.Is(err, proc.ErrAuthentication), err))

	l, err := net.Listen("unix", h.Args[1])
	if err != nil {
		return err
	}
	h.Say("listening")
	c, err := l.Accept()
	if err != nil {
		return err
	}
	_, _ = c.Write(helloOf(1, 2, 1)) // it may have been turned away already
	_, err = io.Copy(io.Discard, c)
	return err
})

// Processes of another user are turned away, whatever they know. Only root can
// have one, so others see here that one of their own is let in.
func TestOtherUser(t *testing.T) {
	proctest.NoLeaks(t)
	me, uid := os.Geteuid(), os.Geteuid()
	if me == 0 {
		uid = 12345
	}
	l, refused := listen(t, "", nil)
	theirs := unique("other user")
	p := foreign.Start(t, nil, l.Address(), theirs, strconv.Itoa(uid))
	if uid == me {
		p.Expect(t, "false <nil>")
		p.Expect(t, "listening")
		accept(t, l)
		dial(t, theirs, nil)
		return
	}
	require.Contains(t, p.Line(t), fmt.Sprintf("true proc: dial %s: authentication failed: process %d belongs to user %d, this one to %d", l.Address(), os.Getpid(), me, uid))
	err := <-refused
	require.ErrorIs(t, err, proc.ErrAuthentication)
	require.ErrorContains(t, err, fmt.Sprintf("process %d belongs to user %d, this one to %d", p.Pid(), uid, me))
	p.Expect(t, "listening")
	_, err = proc.Dial(t.Context(), theirs, nil)
	require.ErrorIs(t, err, proc.ErrAuthentication)
}

// A caller with a frame before its proof gets nothing allocated for it.
func TestHugeFirstFrame(t *testing.T) {
	proctest.NoLeaks(t)
	l, refused := listen(t, "", keyed("secret"))
	frame := append([]byte("PM\x10\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), make([]byte, 100)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := raw(t, l.Address()).Write(frame)
	require.NoError(t, err)
	require.ErrorIs(t, <-refused, proc.ErrProtocol)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// After the handshake a peer is trusted with the key, but not with memory.
func TestHugeMessage(t *testing.T) {
	proctest.NoLeaks(t)
	l, _ := listen(t, "", &proc.ConnOptions{MaxMessage: 1000})
	c := raw(t, l.Address())
	_, err := c.Write(helloOf(1, 0, 1))
	require.NoError(t, err)
	accepted := accept(t, l)
	_, err = c.Write([]byte("PM\x10\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f\x00\x00\x00\x00\x00\x00\x00\x00"))
	require.NoError(t, err)
	var s string
	for range 2 {
		err = accepted.Recv(t.Context(), &s)
		require.ErrorIs(t, err, proc.ErrTooLarge)
		require.ErrorContains(t, err, "it has 9223372036854775807 bytes, at most 1000 are allowed")
	}
	require.NoError(t, accepted.Send(t.Context(), "the other way"))
}
