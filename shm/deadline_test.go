package shm

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

// streams are the two methods that have deadlines, each at an end where it
// cannot go on.
func streams(t *testing.T) map[string]struct {
	do    func() error
	set   func(time.Time)
	event *event
	serve func()
} {
	a, b := testBytePipe(t, &PipeOptions{Bytes: 64})
	c, d := testBytePipe(t, &PipeOptions{Bytes: 64})
	for c.pipe.TrySend(make([]byte, 8)) == nil {
	}
	return map[string]struct {
		do    func() error
		set   func(time.Time)
		event *event
		serve func()
	}{
		"Read": {
			func() error { return errOf(a.Read(make([]byte, 8))) }, a.SetReadDeadline, &a.pipe.end.recv.words.items,
			func() { require.NoError(t, b.pipe.TrySend(make([]byte, 8))) },
		},
		"Write": {
			func() error { return errOf(c.Write(make([]byte, 8))) }, c.SetWriteDeadline, &c.pipe.end.send.words.room,
			func() { require.NoError(t, errOf(d.pipe.TryRecv())) },
		},
	}
}

func TestDeadlines(t *testing.T) {
	past, far := time.Unix(1, 0), time.Now().Add(time.Hour)
	soon := func() time.Time { return time.Now().Add(5 * time.Millisecond) }
	for _, method := range []string{"Read", "Write"} {
		for name, test := range map[string]func(t *testing.T, do func() error, set func(time.Time), sleeps, serve func()){
			"past": func(t *testing.T, do func() error, set func(time.Time), sleeps, serve func()) {
				set(past)
				for range 3 {
					require.Equal(t, os.ErrDeadlineExceeded, do())
				}
				serve()
				require.Equal(t, os.ErrDeadlineExceeded, do(), "also if it need not wait")
				set(far)
				require.NoError(t, do(), "and nothing was lost")
			},
			"future": func(t *testing.T, do func() error, set func(time.Time), sleeps, serve func()) {
				set(soon())
				require.Equal(t, os.ErrDeadlineExceeded, do())
				require.Equal(t, os.ErrDeadlineExceeded, do())
				set(far)
				done := background(do)
				sleeps()
				serve()
				require.NoError(t, outcome(t, done))
			},
			"set while it waits": func(t *testing.T, do func() error, set func(time.Time), sleeps, serve func()) {
				done := background(do)
				sleeps()
				set(far)
				set(soon())
				require.Equal(t, os.ErrDeadlineExceeded, outcome(t, done))
			},
			"past while it waits": func(t *testing.T, do func() error, set func(time.Time), sleeps, serve func()) {
				set(far)
				done := background(do)
				sleeps()
				set(past)
				require.Equal(t, os.ErrDeadlineExceeded, outcome(t, done))
			},
			"moved on while it waits": func(t *testing.T, do func() error, set func(time.Time), sleeps, serve func()) {
				set(time.Now().Add(time.Minute))
				done := background(do)
				sleeps()
				for range 100 {
					set(far)
					set(time.Time{})
				}
				serve()
				require.NoError(t, outcome(t, done))
			},
			"cleared": func(t *testing.T, do func() error, set func(time.Time), sleeps, serve func()) {
				set(past)
				require.Equal(t, os.ErrDeadlineExceeded, do())
				set(time.Time{})
				done := background(do)
				sleeps()
				serve()
				require.NoError(t, outcome(t, done))
			},
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				proctest.NoLeaks(t)
				s := streams(t)[method]
				test(t, s.do, s.set, func() { awaitSleeper(t, s.event) }, s.serve)
			})
		}
	}
}

// The deadline of one way is not that of the other, and SetDeadline is both.
func TestDeadlinesOfEachWay(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, &PipeOptions{Bytes: 64})
	for a.pipe.TrySend(make([]byte, 8)) == nil {
	}
	read := func() error { return errOf(a.Read(make([]byte, 1))) }
	write := func() error { return errOf(a.Write(make([]byte, 1))) }
	a.SetWriteDeadline(time.Unix(1, 0))
	done := background(read)
	require.Equal(t, os.ErrDeadlineExceeded, write())
	require.NoError(t, b.pipe.TrySend([]byte("x")))
	require.NoError(t, outcome(t, done))
	a.SetDeadline(time.Unix(1, 0))
	require.Equal(t, os.ErrDeadlineExceeded, read())
	require.Equal(t, os.ErrDeadlineExceeded, write())
	a.SetWriteDeadline(time.Time{})
	require.Equal(t, os.ErrDeadlineExceeded, read())

	// Other methods have contexts instead.
	received := background(func() error { return errOf(a.RecvBytes(t.Context(), 1)) })
	awaitSleeper(t, &a.pipe.end.recv.words.items)
	require.NoError(t, b.pipe.TrySend([]byte("x")))
	require.NoError(t, outcome(t, received))

	// As with a net.Conn the deadline comes before the end of the stream, and
	// after that of the end itself.
	require.NoError(t, b.Close())
	require.Equal(t, os.ErrDeadlineExceeded, read())
	a.SetReadDeadline(time.Time{})
	require.Equal(t, io.EOF, read())
	require.ErrorIs(t, write(), ErrBroken)
	a.SetDeadline(time.Unix(1, 0))
	require.NoError(t, a.Close())
	require.ErrorIs(t, read(), ErrClosed)
	require.ErrorIs(t, write(), ErrClosed)
	require.ErrorIs(t, errOf(a.Read(nil)), ErrClosed)
	require.ErrorIs(t, errOf(a.Write(nil)), ErrClosed)
}

// What was written before the deadline came counts.
func TestDeadlineInTheMiddle(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testBytePipe(t, &PipeOptions{Bytes: 128})
	n := 0
	done := background(func() (err error) {
		n, err = a.Write(make([]byte, 1000))
		return err
	})
	awaitSleeper(t, &a.pipe.end.send.words.room)
	a.SetWriteDeadline(time.Unix(1, 0))
	require.Equal(t, os.ErrDeadlineExceeded, outcome(t, done))
	require.Positive(t, n)
	got := 0
	for {
		data, err := b.pipe.TryRecv()
		if err != nil {
			require.Equal(t, ErrEmpty, err)
			break
		}
		got += len(data)
	}
	require.Equal(t, n, got)
}
