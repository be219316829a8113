package shm

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// routes lead to a process and back.
type routes struct {
	Pipe    *Pipe[int]
	To, Fro *Queue[int]
}

// fenceless sends back what it gets, in a process to which the kernel refuses
// membarrier.
var fenceless = proctest.Register("fenceless", func(h *proctest.Helper) error {
	var errno int
	if _, err := fmt.Sscan(h.Args[0], &errno); err != nil {
		return err
	}
	if err := proctest.Refuse(unix.SYS_MEMBARRIER, unix.Errno(errno)); err != nil {
		return err
	}
	r, err := take[routes](h)
	if err != nil {
		return err
	}
	ctx := context.Background()
	sleeper := await.New(ctx)
	defer sleeper.Stop()
	sure := arm(sleeper, &r.To.ring.words.finished, nobody{})
	h.Say(fmt.Sprintf("relies on the fence: %t", sure))
	for {
		v, err := r.Pipe.Recv(ctx)
		if err != nil {
			return nil // the test has closed it
		}
		if err := r.Pipe.Send(ctx, v); err != nil {
			return err
		}
		if v, err = r.To.Get(ctx); err != nil {
			return err
		}
		if err := r.Fro.Put(ctx, v); err != nil {
			return err
		}
	}
})

// A process that is refused membarrier works with others that are not, whoever
// commits and whoever sleeps: its commits are fenced, and its sleeps are short.
func TestWithoutMembarrier(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM} {
		t.Run(errno.Error(), func(t *testing.T) {
			proctest.NoLeaks(t)
			own, theirs := testPipe[int](t, nil)
			r := routes{Pipe: theirs}
			var err error
			for _, q := range []**Queue[int]{&r.To, &r.Fro} {
				*q, err = NewQueue[int](8, nil)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, (*q).Detach()) })
			}
			p := hand(t, fenceless, r, fmt.Sprint(int(errno)))
			require.NoError(t, theirs.Close())
			p.Expect(t, fmt.Sprint("relies on the fence: ", runtime.GOARCH != "amd64")) // others need none
			for i := range 500 {
				if i%5 == 0 { // it sleeps
					eventually(t, "it sleeps", func() bool { return own.end.send.words.items.word.Load()&eventSleeper != 0 })
				}
				require.NoError(t, own.Send(t.Context(), i))
				v, err := own.Recv(t.Context())
				require.NoError(t, err)
				require.Equal(t, i, v)
				require.NoError(t, r.To.Put(t.Context(), -i))
				v, err = r.Fro.Get(t.Context())
				require.NoError(t, err)
				require.Equal(t, -i, v)
			}
			require.NoError(t, own.Close())
			require.NoError(t, p.Wait(t))
		})
	}
}

// nobody has no life to watch.
type nobody struct{}

func (nobody) watch(watcher) bool { return true }
