package progress_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/progress"
)

func TestMain(m *testing.M) {
	proc.Main()
	os.Exit(m.Run())
}

// A screen is a terminal, and what was drawn on it.
type screen struct {
	terminal *os.File
	drawn    chan string
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, master.Close()) })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	s := &screen{terminal: terminal, drawn: make(chan string)}
	go func() {
		text, _ := io.ReadAll(master) // it ends by EIO when nobody has the terminal
		s.drawn <- string(text)
	}()
	return s
}

// last returns the last line that was drawn.
func (s *screen) last(t *testing.T) string {
	t.Helper()
	require.NoError(t, s.terminal.Close())
	lines := strings.Split(strings.TrimRight(<-s.drawn, "\r\n"), "\n")
	return lines[len(lines)-1]
}

var half = proc.Register("half", func(_ context.Context, x int) (int, error) {
	if x%2 != 0 {
		return 0, fmt.Errorf("%d is odd", x)
	}
	return x / 2, nil
})

func newPool(t *testing.T) *proc.Pool {
	t.Helper()
	p, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func TestBarOfACall(t *testing.T) {
	p, s := newPool(t), newScreen(t)
	bars := progress.New(s.terminal)
	_, err := half.Map(t.Context(), p, make([]int, 1000), &proc.MapOptions{Progress: bars.Bar("halves")})
	require.NoError(t, err)
	bars.Close()
	line := s.last(t)
	require.Contains(t, line, "halves")
	require.Contains(t, line, "1000 of 1000, ")
	require.Contains(t, line, "===")
}

// How many there are is known at the end only.
func TestBarOfAStream(t *testing.T) {
	p, s := newPool(t), newScreen(t)
	bars := progress.New(s.terminal)
	for _, err := range half.Stream(t.Context(), p, func(yield func(int) bool) { _ = yield(2) && yield(4) && yield(6) },
		&proc.MapOptions{Progress: bars.Bar("halves")}) {
		require.NoError(t, err)
	}
	bars.Close()
	require.Contains(t, s.last(t), "3 of 3, ")
}

// A bar whose call has failed does not keep Close waiting.
func TestBarOfAFailure(t *testing.T) {
	p, s := newPool(t), newScreen(t)
	bars := progress.New(s.terminal)
	_, err := half.Map(t.Context(), p, []int{2, 3, 4}, &proc.MapOptions{Progress: bars.Bar("halves")})
	require.Error(t, err)
	bars.Close()
	require.Contains(t, s.last(t), "halves")
}

func TestBarAfterClose(t *testing.T) {
	bars := progress.New(io.Discard)
	before := bars.Bar("before")
	bars.Close()
	before(proc.Progress{Done: 1, Total: 2})
	bars.Bar("after")(proc.Progress{Done: 1, Total: 1})
	bars.Close()
}

// Where there is no terminal nothing is written.
func TestNoTerminal(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(name)
	require.NoError(t, err)
	bars := progress.New(f)
	draw := bars.Bar("halves")
	draw(proc.Progress{Done: 1, Total: 2})
	draw(proc.Progress{Done: 2, Total: 2})
	bars.Close()
	require.NoError(t, f.Close())
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Empty(t, text)
}

func TestPrimes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "run", "-buildvcs=false", "./primes").CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "41538 primes below half a million\n", string(out))
}
