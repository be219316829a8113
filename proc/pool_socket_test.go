package proc_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/inherit"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// cutOff closes its worker's socket to the parent, as code does that closes a
// descriptor twice. Then it returns, or hangs.
var cutOff = proc.RegisterTask("cut off", func(_ context.Context, hang bool) error {
	err := unix.Close(inherit.Get().Control)
	if hang {
		<-make(chan int)
	}
	return err
})

// A bulk is a result that does not fit beside its task.
type bulk struct {
	Pid  int
	Data []byte
}

// fileAndBulk makes a file, which stays open: in a worker that was cut off it has the
// number of the socket.
var fileAndBulk = proc.Register("file and bulk", func(_ context.Context, path string) (bulk, error) {
	f, err := os.Create(path)
	if err == nil {
		keptFiles = append(keptFiles, f)
	}
	return bulk{os.Getpid(), make([]byte, 100<<10)}, err
})

var keptFiles []*os.File

// A worker whose socket to its parent is closed can neither hear nor be heard. It is
// replaced before it does harm.
func TestWorkerClosesItsSocket(t *testing.T) {
	for name, hang := range map[string]bool{"returns": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p := newPool(t, &proc.PoolOptions{Workers: 1, Grace: 20 * time.Millisecond})
			before := proc.Children()[0]
			_, err := cutOff.Submit(ctx, p, hang).Get(ctx) // of one that returns it may be nil
			if hang {
				require.Equal(t, -int(unix.SIGKILL), died(t, err).Code)
			}
			select {
			case <-before.Done():
			case <-ctx.Done():
				require.Fail(t, "the worker lives on")
			}
			paths := []string{t.TempDir() + "/a", t.TempDir() + "/b"}
			out, err := fileAndBulk.Map(ctx, p, paths, nil)
			require.NoError(t, err)
			for i, path := range paths {
				require.NotEqual(t, before.Pid(), out[i].Pid)
				require.Len(t, out[i].Data, 100<<10)
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Empty(t, b, "it is the task's file")
			}
		})
	}
}

// babble is an initialiser that writes to its worker's socket what is no frame.
var babble = proc.RegisterTask("babble", func(context.Context, struct{}) error {
	_, err := unix.Write(inherit.Get().Control, make([]byte, 100))
	<-make(chan int)
	return err
})

// A pool whose workers had to be killed says why.
func TestWorkersKilledBeforeTheyAreReady(t *testing.T) {
	proctest.NoLeaks(t)
	_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 1, Init: babble.With(struct{}{})})
	var init *proc.InitError
	require.ErrorAs(t, err, &init)
	require.Equal(t, -int(unix.SIGKILL), died(t, err).Code)
	require.ErrorContains(t, err, "receive what it sends: receive message: malformed message: ")
}
