package shm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// TestPipeAgainstModel does the same to a pipe and to two slices.
func TestPipeAgainstModel(t *testing.T) {
	proctest.NoLeaks(t)
	t.Run("int32", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { agrees(t, rt, rapid.Int32()) })
	})
	t.Run("3 bytes", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			agrees(t, rt, rapid.Custom(func(t *rapid.T) [3]byte { return [3]byte(rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "bytes")) }))
		})
	})
	t.Run("string", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { agrees(t, rt, rapid.StringN(0, 20, 24)) })
	})
	t.Run("map", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			agrees(t, rt, rapid.MapOfN(rapid.StringN(0, 2, 4), rapid.IntRange(0, 20), 0, 2))
		})
	})
}

// agrees uses the two ends of a pipe. For messages without pointers it is known
// exactly when there is no room; for others a pipe may have less room than its
// capacity, but some when it is empty.
func agrees[T any](t *testing.T, rt *rapid.T, message *rapid.Generator[T]) {
	capacity := rapid.IntRange(1, 9).Draw(rt, "capacity")
	a, b, err := NewPipe[T](&PipeOptions{Capacity: capacity, Bytes: 64})
	require.NoError(rt, err)
	ends, open := [2]*Pipe[T]{a, b}, [2]bool{true, true}
	exact := a.out != nil
	var sent [2][]T // by end, and not received yet
	which := func(rt *rapid.T) (int, int) {
		i := rapid.IntRange(0, 1).Draw(rt, "end")
		return i, 1 - i
	}
	defer func() {
		for i, p := range ends {
			require.Equal(rt, open[i], p.Close() == nil)
		}
	}()
	checkSent := func(rt *rapid.T, i int, batch []T, n int, err, full error) {
		room := capacity - len(sent[i])
		switch {
		case !open[i]:
			require.ErrorIs(rt, err, ErrClosed)
			require.Zero(rt, n)
		case len(batch) == 0:
			require.NoError(rt, err)
		case !open[1-i]:
			require.ErrorIs(rt, err, ErrBroken)
			require.Zero(rt, n)
		case exact || n == len(batch) || len(sent[i])+n >= capacity:
			require.Equal(rt, min(room, len(batch)), n)
			if n < len(batch) {
				require.Equal(rt, full, err)
			} else {
				require.NoError(rt, err)
			}
		default:
			require.Equal(rt, full, err)
			require.NotZero(rt, len(sent[i])+n, "an empty ring has room")
		}
		sent[i] = append(sent[i], batch[:n]...)
	}
	checkGot := func(rt *rapid.T, i int, got []T, wanted int, err, empty error) {
		from := &sent[1-i]
		switch {
		case !open[i]:
			require.ErrorIs(rt, err, ErrClosed)
		case len(*from) > 0:
			require.NoError(rt, err)
			require.Len(rt, got, min(wanted, len(*from)))
			require.Equal(rt, (*from)[:len(got)], got)
			*from = (*from)[len(got):]
		case !open[1-i]:
			require.Equal(rt, io.EOF, err)
		default:
			require.Equal(rt, empty, err)
		}
	}
	over := overCtx(t)
	rt.Repeat(map[string]func(*rapid.T){
		"try to send": func(rt *rapid.T) {
			i, _ := which(rt)
			v := message.Draw(rt, "message")
			n, err := 1, ends[i].TrySend(v)
			if err != nil {
				n = 0
			}
			checkSent(rt, i, []T{v}, n, err, ErrFull)
		},
		"send all": func(rt *rapid.T) {
			i, _ := which(rt)
			batch := rapid.SliceOfN(message, 0, 12).Draw(rt, "messages")
			n, err := ends[i].SendAll(over, batch)
			if !open[i] && len(batch) == 0 {
				return
			}
			checkSent(rt, i, batch, n, err, context.Canceled)
		},
		"try to receive": func(rt *rapid.T) {
			i, _ := which(rt)
			v, err := ends[i].TryRecv()
			checkGot(rt, i, []T{v}, 1, err, ErrEmpty)
		},
		"receive up to": func(rt *rapid.T) {
			i, _ := which(rt)
			got := make([]T, rapid.IntRange(1, 12).Draw(rt, "length"))
			n, err := ends[i].RecvUpTo(over, got)
			checkGot(rt, i, got[:n], len(got), err, context.Canceled)
		},
		"poll": func(rt *rapid.T) {
			i, o := which(rt)
			err := ends[i].Poll(over)
			require.Equal(rt, open[i] && open[o] && len(sent[o]) == 0, err == context.Canceled, "%v", err)
		},
		"hand over": func(rt *rapid.T) {
			i, _ := which(rt)
			if open[i] {
				arrived := roundTrip(t, ends[i])
				require.NoError(rt, ends[i].Close())
				ends[i] = arrived
			}
		},
		"close": func(rt *rapid.T) {
			i, _ := which(rt)
			if rapid.IntRange(0, 9).Draw(rt, "close") == 0 && open[i] {
				require.NoError(rt, ends[i].Close())
				open[i] = false
			}
		},
	})
}

// TestBytePipeAgainstModel mixes the methods that keep boundaries with those
// that do not.
func TestBytePipeAgainstModel(t *testing.T) {
	proctest.NoLeaks(t)
	over := overCtx(t)
	rapid.Check(t, func(rt *rapid.T) {
		a, b, err := NewBytePipe(&PipeOptions{Bytes: 128})
		require.NoError(rt, err)
		defer func() { require.NoError(rt, errors.Join(a.Close(), b.Close())) }()
		var messages [][]byte
		taken := 0 // bytes of the first message
		next := func() []byte { return messages[0][taken:] }
		pop := func() { messages, taken = messages[1:], 0 }
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				m := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(rt, "message")
				switch err := a.SendBytes(over, m); {
				case len(m) > 56:
					require.ErrorIs(rt, err, ErrSize)
				case err == nil:
					messages = append(messages, m)
				default:
					require.Equal(rt, context.Canceled, err)
					require.NotEmpty(rt, messages, "an empty ring has room")
				}
			},
			"write": func(rt *rapid.T) {
				m := rapid.SliceOfN(rapid.Byte(), 0, 150).Draw(rt, "text")
				a.SetWriteDeadline(time.Now().Add(time.Millisecond)) // there may be no room for all
				n, err := a.Write(m)
				require.Equal(rt, n < len(m), err == os.ErrDeadlineExceeded)
				for m = m[:n]; len(m) > 0; m = m[min(56, len(m)):] {
					messages = append(messages, m[:min(56, len(m))])
				}
			},
			"read": func(rt *rapid.T) {
				buffer := make([]byte, rapid.IntRange(1, 80).Draw(rt, "length"))
				if len(bytes.Join(messages, nil)) == taken { // nothing but empty messages
					b.SetReadDeadline(time.Unix(1, 0))
					require.Equal(rt, os.ErrDeadlineExceeded, errOf(b.Read(buffer)), "nothing is passed over")
					return
				}
				b.SetReadDeadline(time.Time{})
				for len(next()) == 0 {
					pop()
				}
				n, err := b.Read(buffer)
				require.NoError(rt, err)
				require.Equal(rt, min(len(buffer), len(next())), n)
				require.True(rt, bytes.Equal(next()[:n], buffer[:n]))
				if taken += n; taken == len(messages[0]) {
					pop()
				}
			},
			"receive": func(rt *rapid.T) {
				most := rapid.IntRange(0, 80).Draw(rt, "most")
				got, err := b.RecvBytes(over, most)
				switch {
				case len(messages) == 0:
					require.Equal(rt, context.Canceled, err)
				case len(next()) > most:
					require.ErrorIs(rt, err, io.ErrShortBuffer)
				default:
					require.NoError(rt, err)
					require.True(rt, bytes.Equal(next(), got))
					pop()
				}
			},
		})
	})
}
