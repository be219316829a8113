package proc_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// fewFiles is how many descriptors a process may have that cannot take a load.
const fewFiles = 20

// A load is more than a process with few descriptors can take, and so much data that
// the sender waits for who takes it.
type load struct {
	Files []*proc.File
	Data  []byte
}

func newLoad() load {
	l := load{Data: make([]byte, 4<<20)}
	for range 3 * fewFiles / 2 {
		l.Files = append(l.Files, &proc.File{File: os.Stdin})
	}
	return l
}

var take = proc.RegisterTask("take", func(context.Context, load) error { return nil })

const fewFilesEverywhere = "PROC_TEST_FEW_FILES"

func init() {
	if os.Getenv(fewFilesEverywhere) == "" {
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: fewFiles, Max: fewFiles}); err != nil {
		panic(err)
	}
}

// A process that cannot receive its argument says why.
func TestArgumentThatCannotBeReceived(t *testing.T) {
	few := proc.Limits{Files: fewFiles}
	for name, run := range map[string]func(t *testing.T) error{
		"task": func(t *testing.T) error {
			p := newPool(t, &proc.PoolOptions{Workers: 1, Limits: few})
			_, err := take.Submit(t.Context(), p, newLoad()).Get(t.Context())
			works(t, p) // another worker
			return err
		},
		"initialiser": func(t *testing.T) error {
			_, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 1, Limits: few, Init: take.With(newLoad())})
			var init *proc.InitError
			require.ErrorAs(t, err, &init)
			require.Equal(t, "take", init.Func)
			return err
		},
		"process": func(t *testing.T) error {
			t.Setenv(fewFilesEverywhere, "yes")
			c := start(t, take, newLoad(), nil)
			err := c.Join(t.Context())
			require.Equal(t, 1, exitCode(t, c.Process))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			proctest.NoLeaks(t)
			err := run(t)
			var remote *proc.RemoteError
			require.ErrorAs(t, err, &remote)
			require.ErrorIs(t, err, unix.EMFILE)
			require.Contains(t, remote.Text, "descriptors were dropped on the way")
		})
	}
}
