package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestFrames(t *testing.T) {
	a, b := pair(t)
	file := memfd(t, "hello")
	before := descriptors(t)
	for _, files := range []int{0, 1, 252, 253, 254, 506, 507, 600} {
		for _, size := range []int{0, 1, 100_000, 5_000_000} {
			if files > 1 && size > 100_000 {
				continue
			}
			t.Run(fmt.Sprintf("files=%d,size=%d", files, size), func(t *testing.T) {
				m := &Message{Data: bytes.Repeat([]byte("x"), size)}
				for range files {
					m.Files = append(m.Files, file)
				}
				sent := make(chan error, 1)
				go func() {
					err := Send(a, 7, m)
					if err == nil {
						err = Send(a, 8, nil)
					}
					sent <- err
				}()
				kind, got, err := Recv(b)
				require.NoError(t, err)
				defer got.Close()
				require.Equal(t, byte(7), kind)
				require.Len(t, got.Files, files)
				require.True(t, bytes.Equal(m.Data, got.Data))
				for _, f := range got.Files {
					require.Equal(t, same(t, file), same(t, f))
					require.NoError(t, control(f, func(fd uintptr) error {
						flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
						require.Equal(t, unix.FD_CLOEXEC, flags)
						return err
					}))
				}
				kind, got2, err := Recv(b)
				require.NoError(t, err)
				require.Equal(t, byte(8), kind)
				require.Equal(t, &Message{}, got2)
				require.NoError(t, <-sent)
			})
		}
	}
	require.Equal(t, before, descriptors(t))

	require.NoError(t, a.Close())
	_, _, err := Recv(b)
	require.Equal(t, io.EOF, err, "the stream ends between frames")
	require.ErrorIs(t, Send(b, 0, nil), unix.EPIPE)
}

func header(files uint32, length uint64) []byte {
	h := []byte{0x50, 0x4d, 1, 0}
	h = binary.LittleEndian.AppendUint32(h, files)
	h = binary.LittleEndian.AppendUint64(h, length)
	return binary.LittleEndian.AppendUint64(h, 0)
}

func TestRecvRefuses(t *testing.T) {
	var fds []int
	for range 3 {
		require.NoError(t, control(memfd(t, ""), func(fd uintptr) error { fds = append(fds, int(fd)); return nil }))
	}
	for name, tt := range map[string]struct {
		bytes []byte
		fds   []int // passed with the first byte
		want  error
	}{
		"half a header":        {header(0, 0)[:7], nil, io.ErrUnexpectedEOF},
		"half of the data":     {append(header(0, 4), "ab"...), nil, io.ErrUnexpectedEOF},
		"no descriptor":        {header(1, 0), nil, io.ErrUnexpectedEOF},
		"a byte without one":   {append(header(1, 0), 0), nil, ErrFormat},
		"too many descriptors": {header(1, 0), fds, ErrFormat},
		"undeclared":           {header(0, 0), fds, ErrFormat},
		"too few":              {append(header(4, 0), 0), fds, ErrFormat},
		"wrong magic":          {append([]byte{1}, header(3, 0)[1:]...), fds, ErrFormat},
		"reserved byte":        {append([]byte{0x50, 0x4d, 1, 1}, header(0, 0)[4:]...), nil, ErrFormat},
		"length over an int":   {header(0, math.MaxInt+1), nil, ErrFormat},
		"length never sent":    {header(0, math.MaxInt), fds[:0], io.ErrUnexpectedEOF},
		"descriptors, no data": {header(3, 1<<40), fds, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			before := descriptors(t)
			_, err := a.writeMsg(tt.bytes, unix.UnixRights(tt.fds...))
			require.NoError(t, err)
			require.NoError(t, a.CloseWrite())
			var start, end runtime.MemStats
			runtime.ReadMemStats(&start)
			_, m, err := Recv(b)
			runtime.ReadMemStats(&end)
			require.ErrorIs(t, err, tt.want)
			require.Nil(t, m)
			require.Equal(t, before, descriptors(t))
			require.Less(t, end.TotalAlloc-start.TotalAlloc, uint64(4*firstChunk))
		})
	}
}

// Descriptors that do not fit into this process are an error, not a loss.
func TestRecvWithoutRoom(t *testing.T) {
	a, b := pair(t)
	file := memfd(t, "")
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	require.NoError(t, Send(a, 0, &Message{Files: []*os.File{file, file, file, file, file, file, file, file, file, file}}))

	before := descriptors(t)
	small := old
	small.Cur = uint64(before) + 4
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &small))
	_, _, err := Recv(b)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, unix.EMFILE)
	require.Equal(t, before, descriptors(t))
}

// A receiver or sender that is kept waiting ends by deadline.
func TestDeadline(t *testing.T) {
	a, b := pair(t)
	require.NoError(t, b.file.SetReadDeadline(time.Now()))
	_, _, err := Recv(b)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, a.file.SetWriteDeadline(time.Now()))
	require.ErrorIs(t, Send(a, 0, &Message{Data: make([]byte, 10)}), os.ErrDeadlineExceeded)
}

// FuzzRecv: any stream ends in an error, without a leak.
func FuzzRecv(f *testing.F) {
	f.Add(header(0, 0), false)
	f.Add(append(header(1, 3), "abcabc"...), true)
	f.Add(append(header(0, 2), append([]byte("ab"), header(0, 1<<50)...)...), true)
	f.Fuzz(func(t *testing.T, stream []byte, pass bool) {
		if len(stream) == 0 || len(stream) > 1<<16 {
			return
		}
		a, b := pair(t)
		before := descriptors(t)
		var oob []byte
		if pass {
			oob = unix.UnixRights(1)
		}
		go func(c *Conn) {
			_, _ = c.writeMsg(stream, oob) // the receiver may be done with it before
			_ = c.CloseWrite()
		}(a)
		for {
			_, m, err := Recv(b)
			if err != nil {
				break
			}
			require.LessOrEqual(t, len(m.Data), len(stream))
			m.Close()
		}
		require.Equal(t, before, descriptors(t))
	})
}
