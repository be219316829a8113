package proc_test

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/proc"
)

// FuzzCaller: whatever a caller sends, the listener goes on, and nothing is
// left.
func FuzzCaller(f *testing.F) {
	for _, tt := range strangers {
		f.Add(tt.bytes(helloOf(1, 3, 2), false), tt.key != "", true)
	}
	f.Add(append(helloOf(1, 0, 1), "PM\x10\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00hi"...), false, true)
	f.Add(append(helloOf(1, 0, 1), "PM\x11\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00hi"...), false, false)
	type setup struct {
		l       *proc.Listener
		refused chan error
	}
	var setups [2]setup
	for i, o := range []*proc.ConnOptions{{MaxMessage: 1 << 16}, {Key: []byte("secret")}} {
		refused := make(chan error, 1)
		o.Refused, o.Handshake = func(err error) { refused <- err }, time.Minute
		l, err := proc.Listen("", o)
		require.NoError(f, err)
		f.Cleanup(func() { require.NoError(f, l.Close()) })
		setups[i] = setup{l, refused}
	}
	f.Fuzz(func(t *testing.T, stream []byte, key, files bool) {
		if len(stream) > 1<<16 {
			return
		}
		s := setups[0]
		if key {
			s = setups[1]
		}
		c, err := net.Dial("unix", s.l.Address())
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		var oob []byte
		if files {
			oob = unix.UnixRights(0)
		}
		if len(stream) > 0 {
			_, _, err = c.(*net.UnixConn).WriteMsgUnix(stream, oob, nil)
			if err != nil {
				require.ErrorIs(t, err, unix.EPIPE, "it was turned away already")
			}
		}
		_ = c.(*net.UnixConn).CloseWrite() // the same
		for {
			ready, err := proc.Wait(ended(), s.l)
			if err == nil {
				require.Len(t, ready, 1)
				accepted, err := s.l.Accept(t.Context())
				require.NoError(t, err)
				drain(t, accepted)
				return
			}
			select {
			case err := <-s.refused:
				require.Error(t, err)
				return
			default:
				runtime.Gosched()
			}
		}
	})
}

// drain receives until there is no more.
func drain(t *testing.T, c *proc.Conn) {
	defer func() { require.NoError(t, c.Close()) }()
	for {
		var v person
		err := c.Recv(t.Context(), &v)
		if err == nil {
			continue
		}
		if _, err := c.RecvBytes(t.Context(), 0); err != nil {
			return
		}
	}
}
